"""open_engine: which backend and precision run a bundle, and why, said aloud."""

import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from rtpolyp.errors import BackendError, EngineError, InputError
from rtpolyp.inference.bundle import DEFAULT_BUNDLE, Bundle, load_bundle
from rtpolyp.inference.calibration import CalibrationKey, cache_folder, choose, measure, recall, remember
from rtpolyp.inference.engine import Engine, Goal
from rtpolyp.inference.nvidia_card import find_card
from rtpolyp.inference.onnxruntime import OnnxRuntimeCudaEngine, OnnxRuntimeEngine
from rtpolyp.inference.openvino import OpenVinoEngine
from rtpolyp.inference.processor import this_processor
from rtpolyp.inference.tensorrt.plans import is_plan, open_beside, open_plan, plan_files
from rtpolyp.spec import Precision

__all__ = ["BACKENDS", "open_engine"]

log = logging.getLogger(__name__)

Backend = type[OpenVinoEngine] | type[OnnxRuntimeEngine]

# What runs a bundle's own files. Each class imports its library only when it is asked for something.
BACKENDS: dict[str, Backend] = {
    "openvino": OpenVinoEngine,
    "onnxruntime": OnnxRuntimeEngine,
    "onnxruntime-cuda": OnnxRuntimeCudaEngine,
}
TENSORRT = "tensorrt"  # runs a plan that was built from a bundle
PRECISIONS = ("fp32", "fp16", "bf16", "int8")


class _Options(TypedDict):
    optimise_for: Goal
    threads: int | None
    batch: int


def open_engine(
    engine: str | Path = DEFAULT_BUNDLE,
    *,
    backend: str = "auto",
    precision: str = "auto",
    optimise_for: Goal = "latency",
    threads: int | None = None,
    batch: int = 1,
    size: tuple[int, int] | None = None,
    cache: Path | None = None,
) -> Engine:
    """Open a bundle, by name or folder, on the best backend and in the fastest precision of this machine.

    `engine` may also be a TensorRT plan's file. `backend` is "auto", "tensorrt", "onnxruntime-cuda",
    "openvino" or "onnxruntime". On an NVIDIA card "auto" is a plan beside the bundle, else ONNX Runtime's
    CUDA provider; without either it is OpenVINO, else ONNX Runtime. What is passed over is said aloud, with
    the reason, as a WARNING. `precision` is "auto", "fp32", "fp16", "bf16" or "int8"; where a processor has
    several, "auto" is measured once and remembered in `cache` (default: calibration.cache_folder).
    `optimise_for` "latency" gives all processor `threads` to one request, "throughput" runs several at once.
    `batch` is the most frames that a submit may hold. `size` = (width, height), multiples of 32, replaces the
    bundle's input size, and `engine.spec` then says so; only OpenVINO can. `engine.description` says what
    was chosen and why.

    Raises EngineError for a missing or broken bundle or plan, BackendError where what was asked for cannot
    work, and InputError for an option that makes no sense.
    """
    _check("backend", backend, ("auto", TENSORRT, *BACKENDS))
    _check("precision", precision, ("auto", *PRECISIONS))
    _check("optimise_for", optimise_for, ("latency", "throughput"))
    for name, value in (("threads", threads), ("batch", batch)):
        if value is not None and value < 1:
            raise InputError(f"{name} {value}: give at least 1")
    if size is not None and (min(size) < 32 or size[0] % 32 or size[1] % 32):
        raise InputError(f"size {size[0]}x{size[1]}: give multiples of 32, such as 224x224")
    cache = cache or cache_folder()
    if is_plan(engine):
        if backend not in ("auto", TENSORRT):
            raise InputError(f"{engine}: is a TensorRT plan, which {backend} cannot run; leave --backend out")
        if size is not None:
            raise InputError(
                f"{engine}: a plan's input size is built in; leave the size out, or name a bundle"
            )
        return open_plan(Path(engine), precision, batch=batch, cache=cache)
    bundle = load_bundle(engine)
    resized = size is not None and size != bundle.spec.size
    if size is not None:
        bundle = replace(bundle, spec=replace(bundle.spec, width=size[0], height=size[1]))
    options: _Options = {"optimise_for": optimise_for, "threads": threads, "batch": batch}
    failures: list[EngineError] = []
    for name in _automatic(bundle) if backend == "auto" else (backend,):
        try:
            if resized and name != "openvino":
                raise BackendError(
                    f"{name} runs {bundle.spec.name} at its own input size; use backend openvino"
                )
            opened = _open(name, bundle, precision, options, cache)
        except EngineError as exc:
            failures.append(exc)
            continue
        for failure in failures:
            log.warning("%s; using %s instead", failure, name)
        return opened
    raise failures[0]


def _automatic(bundle: Bundle) -> Sequence[str]:
    """In order of preference; a machine that has never seen a card or a plan hears nothing of them."""
    card = find_card()
    plan = [TENSORRT] if card or plan_files(bundle) else []
    cuda = ["onnxruntime-cuda"] if card else []
    return (*plan, *cuda, "openvino", "onnxruntime")


def _open(name: str, bundle: Bundle, precision: str, options: _Options, cache: Path) -> Engine:
    if name == TENSORRT:
        return open_beside(bundle, precision, batch=options["batch"], cache=cache)
    if precision == "auto":
        return _open_fastest(BACKENDS[name], bundle, options, cache)
    engine = BACKENDS[name](bundle, precision, **options)  # type: ignore[arg-type] # refused there
    engine.description += " (precision as asked)"
    return engine


def _open_fastest(backend: Backend, bundle: Bundle, options: _Options, cache: Path) -> Engine:
    precisions = backend.precisions(bundle)
    if len(precisions) == 1:
        engine = backend(bundle, precisions[0], **options)
        engine.description += " (the only precision here)"
        return engine
    processor = this_processor()
    key = CalibrationKey(processor, backend.library(), bundle.digest, bundle.spec.size, **options)
    milliseconds, when = recall(cache, key), "calibrated before"
    if milliseconds is None:
        milliseconds, when = _race(backend, bundle, precisions, options), "calibrated just now"
        remember(cache, key, milliseconds)
    engine = backend(bundle, choose(milliseconds), **options)
    engine.description += f": {_standings(milliseconds)}; {processor.name}, {when}"
    return engine


def _race(
    backend: Backend, bundle: Bundle, precisions: Sequence[Precision], options: _Options
) -> dict[Precision, float]:
    """Milliseconds per frame of each precision that opens; FP32 must."""
    candidates: dict[Precision, Engine] = {}
    with contextlib.ExitStack() as stack:
        for precision in precisions:
            try:
                candidates[precision] = stack.enter_context(backend(bundle, precision, **options))
            except BackendError as exc:
                if precision == "fp32":
                    raise
                log.warning("%s; going on without %s", exc, precision)
        return measure(candidates)


def _standings(milliseconds: Mapping[Precision, float]) -> str:
    """E.g. "11.2 ms a frame against fp32 19.0, bf16 15.1", the chosen one first."""
    chosen = choose(milliseconds)
    others = [f"{precision} {value:.1f}" for precision, value in milliseconds.items() if precision != chosen]
    return f"{milliseconds[chosen]:.1f} ms a frame" + (f" against {', '.join(others)}" if others else "")


def _check(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InputError(f"{name} {value!r} is unknown; there are: {', '.join(choices)}")
