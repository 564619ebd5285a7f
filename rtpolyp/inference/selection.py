"""open_engine: which backend and precision run a bundle, and why, said aloud."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import get_args

from rtpolyp.checks import require_choice, require_whole
from rtpolyp.errors import BackendError, EngineError, InputError
from rtpolyp.inference.backend import AUTO, EngineOptions
from rtpolyp.inference.backends import BACKENDS, PRECISIONS
from rtpolyp.inference.bundle import DEFAULT_BUNDLE, Bundle, load_bundle
from rtpolyp.inference.calibration import cache_folder
from rtpolyp.inference.engine import Engine, Goal
from rtpolyp.inference.nvidia_card import find_card
from rtpolyp.inference.remote.address import is_remote
from rtpolyp.inference.remote.engine import RemoteEngine
from rtpolyp.inference.tensorrt.backend import TENSORRT
from rtpolyp.inference.tensorrt.plans import is_plan, open_plan

__all__ = ["open_engine"]

log = logging.getLogger(__name__)


def open_engine(
    engine: str | Path = DEFAULT_BUNDLE,
    *,
    backend: str = AUTO,
    precision: str = AUTO,
    optimise_for: Goal = "latency",
    threads: int | None = None,
    batch: int = 1,
    size: tuple[int, int] | None = None,
    cache: Path | None = None,
) -> Engine:
    """Open a bundle, by name or folder, on the best backend and in the fastest precision of this machine.

    `engine` may also be a TensorRT plan's file, or a served network's URL, as RemoteEngine takes it, which
    says the rest itself. `backend` is "auto" or a name of `backends.BACKENDS`, which
    is in order of preference: on an NVIDIA card a TensorRT plan beside the bundle, else ONNX Runtime's CUDA
    provider; without either OpenVINO, else ONNX Runtime. What is passed over is said aloud, with the reason,
    as a WARNING. `precision` is "auto", "fp32", "fp16", "bf16" or "int8"; where a processor has several,
    "auto" is measured once and remembered in `cache` (default: calibration.cache_folder). `optimise_for`
    "latency" gives all processor `threads` to one request, "throughput" runs several at once. `batch` is the
    most frames that a submit may hold. `size` = (width, height), multiples of 32, replaces the bundle's input
    size, and `engine.spec` then says so; only backends that are `resizable` can, which is OpenVINO.
    `engine.description` says what was chosen and why.

    Raises EngineError for a missing or broken bundle or plan, BackendError where what was asked for cannot
    work, and InputError for an option that makes no sense.
    """
    require_choice("backend", backend, (AUTO, *BACKENDS))
    require_choice("precision", precision, (AUTO, *PRECISIONS))
    require_choice("optimise_for", optimise_for, get_args(Goal))
    if threads is not None:
        require_whole("threads", threads, least=1, example="processors, e.g. 1")
    require_whole("batch", batch, least=1, example="frames, e.g. 1")
    if size is not None:
        _check_size(size)
    options = EngineOptions(optimise_for, threads, batch, cache or cache_folder())
    if is_remote(engine):
        return _open_remote(str(engine), backend, precision, size, options)
    if is_plan(engine):
        return _open_plan(Path(engine), backend, precision, size, options)
    bundle = load_bundle(engine)
    resized = size is not None and size != bundle.spec.size
    if size is not None:
        bundle = replace(bundle, spec=replace(bundle.spec, width=size[0], height=size[1]))
    failures: list[EngineError] = []
    for name in _automatic(bundle) if backend == AUTO else (backend,):
        try:
            if resized and not BACKENDS[name].resizable:
                able = " or ".join(other.name for other in BACKENDS.values() if other.resizable)
                raise BackendError(
                    f"{name} runs {bundle.spec.name} at its own input size; use backend {able}"
                )
            opened = BACKENDS[name].open(bundle, precision, options)
        except EngineError as exc:
            failures.append(exc)
            continue
        for failure in failures:
            log.warning("%s; using %s instead", failure, name)
        return opened
    raise failures[0]


def _check_size(size: tuple[int, int]) -> None:
    """Raise InputError unless it is (width, height) of multiples of 32."""
    pair = isinstance(size, (tuple, list)) and len(size) == 2
    if not pair or not all(isinstance(side, Integral) for side in size):
        raise InputError(f" {size!r}: give (width, height) in pixels, such as (224, 224)", parameter="size")
    if min(size) < 32 or size[0] % 32 or size[1] % 32:
        raise InputError(f" {size[0]}x{size[1]}: give multiples of 32, such as 224x224", parameter="size")


def _open_remote(
    url: str, backend: str, precision: str, size: tuple[int, int] | None, options: EngineOptions
) -> Engine:
    asked = {
        "backend": backend != AUTO,
        "precision": precision != AUTO,
        "size": size is not None,
        "threads": options.threads is not None,
    }
    if chosen := [name for name, given in asked.items() if given]:
        raise InputError(f" is the server's choice of {url}; leave it out", parameter=chosen[0])
    return RemoteEngine(url, optimise_for=options.optimise_for, batch=options.batch)


def _open_plan(
    path: Path, backend: str, precision: str, size: tuple[int, int] | None, options: EngineOptions
) -> Engine:
    if backend not in (AUTO, TENSORRT.name):
        raise InputError(f"{path}: is a TensorRT plan, which {backend} cannot run; leave the backend out")
    if size is not None:
        raise InputError(f"{path}: a plan's input size is built in; leave the size out, or name a bundle")
    return open_plan(path, precision, batch=options.batch, cache=options.cache)


def _automatic(bundle: Bundle) -> Sequence[str]:
    card = find_card()
    return [name for name, backend in BACKENDS.items() if backend.suits(bundle, card)]
