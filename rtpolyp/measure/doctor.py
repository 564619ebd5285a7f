"""What works on this machine, what does not, why, and the fix.

Every probe imports what it needs by itself, so that whatever is absent or broken spoils only its own line.
"""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rtpolyp.errors import BackendError, EngineError, RtpolypError, WrongResult
from rtpolyp.measure.installed import installed_version

__all__ = ["Finding", "diagnose"]

TRAINING = ("torch", "onnx", "nncf", "onnxscript")
SYSTEM_LIBRARIES = "apt-get install -y libgl1 libglib2.0-0, or pip install --force-reinstall opencv-python"


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis."""

    name: str
    works: bool
    needed: bool  # without it, `rtpolyp run` cannot do its job
    detail: str  # versions, or why it does not work and what to do
    wrong: bool = False  # what is computed here is not what the network computes


@dataclass(frozen=True)
class _Probe:
    name: str
    look: Callable[[], str]  # tells what is there; raises where it does not work
    needed: bool = False
    fix: str = ""  # for exceptions that are not ours: those tell the remedy themselves


def diagnose(engine: str | None = None) -> list[Finding]:
    """Try everything, in about fifteen seconds; never raises.

    `engine` is the bundle, by name or folder, that the engines are tried with; by default the shipped one.
    """
    return [_find(probe) for probe in _probes(engine)]


def _probes(engine: str | None) -> list[_Probe]:
    reinstall = "pip install --force-reinstall rtpolyp"
    return [
        _Probe("system", _system),
        _Probe("processor", _processor, fix=reinstall),
        _Probe("NumPy", partial(_module, "numpy"), needed=True, fix="pip install numpy"),
        _Probe("OpenCV", partial(_module, "cv2"), needed=True, fix=SYSTEM_LIBRARIES),
        _Probe("PyAV", partial(_module, "av"), needed=True, fix="pip install av"),
        _Probe("codecs", _codecs, needed=True, fix="pip install --force-reinstall av"),
        _Probe("bundle", partial(_bundle, engine), needed=True, fix=reinstall),
        _Probe("NVIDIA card", _card, fix="install NVIDIA's driver; nvidia-smi must list the card"),
        _Probe("TensorRT", partial(_flavour, "tensorrt"), fix=reinstall),
        _Probe("TensorRT for RTX", partial(_flavour, "tensorrt-rtx"), fix=reinstall),
        _Probe("pycuda", _pycuda, fix="python scripts/install_pycuda.py"),
        *(_Probe(f"backend {name}", partial(_backend, name, engine), fix=reinstall) for name in _backends()),
        _Probe("engine auto", partial(_answer, "auto", "auto", engine), needed=True, fix=reinstall),
        _Probe("golden frame", partial(_golden, engine), fix=reinstall),
        _Probe("display", _display, fix=SYSTEM_LIBRARIES),
        _Probe("calibration cache", _cache, fix="set RTPOLYP_CACHE to a folder that can be written"),
        _Probe("training", _training, fix='pip install "rtpolyp[train]"'),
    ]


def _find(probe: _Probe) -> Finding:
    try:
        return Finding(probe.name, True, probe.needed, probe.look())
    except RtpolypError as exc:
        return Finding(probe.name, False, probe.needed, str(exc), wrong=isinstance(exc, WrongResult))
    except Exception as exc:  # a broken library may raise anything, and the next line is still wanted
        reason = " ".join(str(exc).split()) or type(exc).__name__
        return Finding(probe.name, False, probe.needed, f"{reason}; {probe.fix}")


def _system() -> str:
    where = Path(__file__).resolve().parents[1]
    own = f"rtpolyp {installed_version('rtpolyp') or 'not installed'} at {where}"
    return f"{own}; Python {platform.python_version()}; {platform.platform()}"


def _processor() -> str:
    from rtpolyp.inference.processor import this_processor
    from rtpolyp.measure.benchmark.machine import INSTRUCTION_SETS

    processor = this_processor()
    extensions = [name for name in INSTRUCTION_SETS if name in processor.flags]
    return f"{processor.name}, {processor.cores} cores, {' '.join(extensions) or 'instruction sets unknown'}"


def _module(name: str) -> str:
    return str(__import__(name).__version__)


def _codecs() -> str:
    from rtpolyp.video.codecs import describe_codecs

    return describe_codecs()


def _bundle(engine: str | None) -> str:
    from rtpolyp.inference.bundle import DEFAULT_BUNDLE, known_bundles, load_bundle

    spec = load_bundle(engine or DEFAULT_BUNDLE).spec
    others = [name for name in known_bundles() if name != spec.name]
    also = f"; also {', '.join(others)}" if others else ""
    return f"{spec.name}, {spec.width}x{spec.height}, digest {spec.digest}, all files whole{also}"


def _card() -> str:
    from rtpolyp.inference.nvidia_card import find_card

    if (card := find_card()) is None:
        raise BackendError(
            "none, or no driver: the processor runs the network; with a card, check nvidia-smi"
        )
    return f"{card}, driver {card.driver or 'unknown'}, CUDA {card.cuda}"


def _flavour(name: str) -> str:
    from rtpolyp.inference.tensorrt.flavour import FLAVOURS, load_flavour

    (flavour,) = (known for known in FLAVOURS if known == name)
    return load_flavour(flavour).version


def _pycuda() -> str:
    from rtpolyp.inference.tensorrt.cuda import CudaDevice

    with CudaDevice():
        return f"{installed_version('pycuda')}, opens the card"


def _backends() -> tuple[str, ...]:
    """None where a library that all need is absent: its own line says so."""
    try:
        from rtpolyp.inference.backends import BACKENDS
    except ImportError:
        return ()
    return tuple(BACKENDS)


def _backend(name: str, engine: str | None) -> str:
    from rtpolyp.inference.backends import BACKENDS

    return _answer(name, BACKENDS[name].probe_precision, engine)


def _answer(backend: str, precision: str, engine: str | None) -> str:
    """Run one frame; the engine's own description, which for "auto" is what `rtpolyp run` would take."""
    import numpy as np

    from rtpolyp.inference.bundle import DEFAULT_BUNDLE
    from rtpolyp.inference.isolated.engine import EngineRecipe, open_guarded

    recipe = EngineRecipe(engine or DEFAULT_BUNDLE, backend, precision, optimise_for="throughput")
    with open_guarded(recipe) as opened:
        frame = np.zeros((1, opened.spec.height, opened.spec.width, 3), np.uint8)
        opened.submit(frame).result(60)
        return opened.description


def _golden(engine: str | None) -> str:
    """Compare the golden frame's mask in every precision of every backend that opens here."""
    from rtpolyp.inference.backends import BACKENDS
    from rtpolyp.inference.bundle import DEFAULT_BUNDLE, load_bundle
    from rtpolyp.inference.isolated.engine import EngineRecipe, open_guarded
    from rtpolyp.measure.golden import check_golden, read_golden

    bundle = load_bundle(engine or DEFAULT_BUNDLE)
    if (golden := read_golden(bundle)) is None:
        raise BackendError(f"{bundle.spec.name} has none: export the bundle again, which adds one")
    passed: dict[str, list[str]] = {}
    for name, backend in BACKENDS.items():
        for precision in backend.precisions:
            try:
                opened = open_guarded(EngineRecipe(engine or DEFAULT_BUNDLE, name, precision))
            except EngineError:  # the backend's own line tells why
                continue
            with opened:
                passed.setdefault(name, []).append(str(check_golden(opened, golden, precision)))
    if not passed:
        raise BackendError("no backend opens that could be compared")
    return "as exported: " + "; ".join(f"{name} {', '.join(checks)}" for name, checks in passed.items())


def _display() -> str:
    from rtpolyp.video.window import require_display

    require_display()
    return "a window opens"


def _cache() -> str:
    import tempfile

    from rtpolyp.inference.calibration import cache_folder

    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        return str(folder)


def _training() -> str:
    versions = {name: installed_version(name) for name in TRAINING}
    if missing := [name for name, version in versions.items() if version is None]:
        raise BackendError(
            f'not installed: {", ".join(missing)}; only for training: pip install "rtpolyp[train]"'
        )
    return ", ".join(f"{name} {version}" for name, version in versions.items())
