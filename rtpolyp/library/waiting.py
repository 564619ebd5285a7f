"""WaitingEngine: an engine that several callers share."""

import threading
from concurrent.futures import Future
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rtpolyp.inference.engine import Engine, Prediction

__all__ = ["WaitingEngine"]


class WaitingEngine:
    """An Engine whose `submit` waits for a free place instead of raising EngineBusy."""

    def __init__(self, engine: Engine) -> None:
        self.backend, self.precision = engine.backend, engine.precision
        self.spec, self.description = engine.spec, engine.description
        self.capacity, self.batch = engine.capacity, engine.batch
        self._engine = engine
        self._places = threading.BoundedSemaphore(engine.capacity)

    def submit(self, frames: NDArray[np.uint8]) -> "Future[Prediction]":
        """As Engine.submit, once there is a place."""
        self._places.acquire()
        try:
            future = self._engine.submit(frames)
        except BaseException:
            self._places.release()
            raise
        future.add_done_callback(lambda _: self._places.release())
        return future

    def close(self) -> None:
        """As Engine.close."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
