"""MeteredEngine: any engine, with the time of every request on record."""

import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rtpolyp.inference.engine import Engine, Prediction, Timing

__all__ = ["MeteredEngine", "RequestTimes"]


@dataclass
class RequestTimes:
    """One request, on the clock of time.perf_counter."""

    submitted: float
    enqueued: float = 0.0  # when `submit` returned
    resolved: float = 0.0  # when the result was there
    timing: Timing | None = None  # what the backend says


class MeteredEngine:
    """Passes requests on to an engine; `requests` holds their times, in the order of the submits.

    A request's times are complete before its future resolves.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.backend, self.precision = engine.backend, engine.precision
        self.spec, self.description = engine.spec, engine.description
        self.capacity, self.batch = engine.capacity, engine.batch
        self.requests: list[RequestTimes] = []

    def submit(self, frames: NDArray[np.uint8]) -> "Future[Prediction]":
        """As the engine's own."""
        times, outer = RequestTimes(time.perf_counter()), Future[Prediction]()
        inner = self._engine.submit(frames)
        times.enqueued = time.perf_counter()
        self.requests.append(times)

        def resolve(done: "Future[Prediction]") -> None:
            times.resolved = time.perf_counter()
            if (error := done.exception()) is not None:
                outer.set_exception(error)
                return
            times.timing = done.result().timing
            outer.set_result(done.result())

        inner.add_done_callback(resolve)
        return outer

    def close(self) -> None:
        """Nothing: whoever opened the engine closes it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
