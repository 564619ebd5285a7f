"""open_engine: which backend and precision run a bundle, and why, said aloud."""

import contextlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from rtpolyp.errors import BackendError, InputError
from rtpolyp.inference.bundle import DEFAULT_BUNDLE, Bundle, load_bundle
from rtpolyp.inference.calibration import CalibrationKey, cache_folder, choose, measure, recall, remember
from rtpolyp.inference.engine import Engine, Goal
from rtpolyp.inference.onnxruntime import OnnxRuntimeEngine
from rtpolyp.inference.openvino import OpenVinoEngine
from rtpolyp.inference.processor import this_processor
from rtpolyp.spec import Precision

__all__ = ["BACKENDS", "open_engine"]

log = logging.getLogger(__name__)

Backend = type[OpenVinoEngine] | type[OnnxRuntimeEngine]

# In order of preference. Each class imports its library only when it is asked for something.
BACKENDS: dict[str, Backend] = {"openvino": OpenVinoEngine, "onnxruntime": OnnxRuntimeEngine}
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")


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
    cache: Path | None = None,
) -> Engine:
    """Open a bundle, by name or folder, on the best backend and in the fastest precision of this machine.

    `backend` is "auto", "openvino" or "onnxruntime"; `precision` is "auto", "fp32", "bf16" or "int8". An
    automatic backend that cannot work is passed over with a WARNING; an automatic precision is measured once
    and remembered in `cache` (default: calibration.cache_folder). `optimise_for` "latency" gives all
    `threads` to one request, "throughput" runs several at once. `batch` is the most frames that a submit may
    hold. `engine.description` says what was chosen and why.

    Raises EngineError for a missing or broken bundle, BackendError where what was asked for cannot work, and
    InputError for an option that makes no sense.
    """
    _check("backend", backend, ("auto", *BACKENDS))
    _check("precision", precision, ("auto", *PRECISIONS))
    _check("optimise_for", optimise_for, ("latency", "throughput"))
    for name, value in (("threads", threads), ("batch", batch)):
        if value is not None and value < 1:
            raise InputError(f"{name} {value}: give at least 1")
    bundle = load_bundle(engine)
    options: _Options = {"optimise_for": optimise_for, "threads": threads, "batch": batch}
    failures: list[BackendError] = []
    for name in BACKENDS if backend == "auto" else (backend,):
        try:
            if precision == "auto":
                opened = _open_fastest(BACKENDS[name], bundle, options, cache or cache_folder())
            else:
                opened = BACKENDS[name](bundle, precision, **options)  # type: ignore[arg-type] # checked above
                opened.description += " (precision as asked)"
        except BackendError as exc:
            failures.append(exc)
            continue
        if failures:
            log.warning("%s; using %s instead", failures[0], name)
        return opened
    raise failures[0]


def _open_fastest(backend: Backend, bundle: Bundle, options: _Options, cache: Path) -> Engine:
    precisions = backend.precisions(bundle)
    if len(precisions) == 1:
        engine = backend(bundle, precisions[0], **options)
        engine.description += " (the only precision here)"
        return engine
    processor = this_processor()
    key = CalibrationKey(processor, backend.library(), bundle.digest, **options)
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
