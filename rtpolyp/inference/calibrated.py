"""CalibratedBackend: a backend with several precisions, the fastest of which is measured once."""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from rtpolyp.errors import BackendError
from rtpolyp.inference.backend import AUTO, EngineOptions
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.calibration import CalibrationKey, choose, measure, recall, remember
from rtpolyp.inference.engine import Engine, Goal
from rtpolyp.inference.local_engine import LocalEngine
from rtpolyp.inference.nvidia_card import Card
from rtpolyp.inference.processor import this_processor
from rtpolyp.spec import Precision

__all__ = ["CalibratedBackend"]

log = logging.getLogger(__name__)


class _EngineClass(Protocol):
    """The class of a local engine that runs a bundle's own files."""

    backend: str

    def __call__(
        self, bundle: Bundle, precision: Precision, *, optimise_for: Goal, threads: int | None, batch: int
    ) -> LocalEngine: ...

    def library(self) -> str:
        """Name and version; raises BackendError when it is not installed."""

    def precisions(self, bundle: Bundle) -> tuple[Precision, ...]:
        """Those that this machine and the bundle both have, FP32 first."""


class CalibratedBackend:
    """The Backend of an engine class that runs a bundle's own files; FP32 always works.

    `resizable` and `suits` are as Backend's; `suits` is "always" by default.
    """

    probe_precision = "fp32"

    def __init__(
        self,
        engine: _EngineClass,
        precisions: tuple[Precision, ...],
        *,
        resizable: bool = False,
        suits: Callable[[Bundle, Card | None], bool] = lambda bundle, card: True,
    ) -> None:
        self.name, self.precisions, self.resizable = engine.backend, precisions, resizable
        self.suits = suits
        self._engine = engine

    def open(self, bundle: Bundle, precision: str, options: EngineOptions) -> Engine:
        """Open a bundle, its fastest precision measured or remembered where none is asked for."""
        if precision == AUTO:
            return self._open_fastest(bundle, options)
        engine = self._open(bundle, precision, options)
        engine.description += " (precision as asked)"
        return engine

    def _open(self, bundle: Bundle, precision: str, options: EngineOptions) -> LocalEngine:
        return self._engine(
            bundle,
            precision,  # type: ignore[arg-type] # refused there
            optimise_for=options.optimise_for,
            threads=options.threads,
            batch=options.batch,
        )

    def _open_fastest(self, bundle: Bundle, options: EngineOptions) -> Engine:
        precisions = self._engine.precisions(bundle)
        if len(precisions) == 1:
            engine = self._open(bundle, precisions[0], options)
            engine.description += " (the only precision here)"
            return engine
        processor = this_processor()
        key = CalibrationKey(
            processor,
            self._engine.library(),
            bundle.digest,
            bundle.spec.size,
            options.optimise_for,
            options.threads,
            options.batch,
        )
        milliseconds, when = recall(options.cache, key), "calibrated before"
        if milliseconds is None:
            milliseconds, when = self._race(bundle, precisions, options), "calibrated just now"
            remember(options.cache, key, milliseconds)
        engine = self._open(bundle, choose(milliseconds), options)
        engine.description += f": {_standings(milliseconds)}; {processor.name}, {when}"
        return engine

    def _race(
        self, bundle: Bundle, precisions: Sequence[Precision], options: EngineOptions
    ) -> dict[Precision, float]:
        """Milliseconds per frame of each precision that opens; FP32 must."""
        candidates: dict[Precision, Engine] = {}
        with contextlib.ExitStack() as stack:
            for precision in precisions:
                try:
                    candidates[precision] = stack.enter_context(self._open(bundle, precision, options))
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
