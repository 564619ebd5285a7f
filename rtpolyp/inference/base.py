"""What every local backend shares: slots, argument checks, worker threads, an orderly end."""

import abc
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from rtpolyp.errors import EngineBusy, EngineError
from rtpolyp.inference.engine import Prediction
from rtpolyp.spec import EngineSpec

__all__ = ["SlotEngine", "one_line"]


def one_line(exc: BaseException) -> str:
    """A foreign exception's message on one line, for the parenthesis in ours."""
    return " ".join(str(exc).split()) or type(exc).__name__


@dataclass(frozen=True)
class _Request:
    slot: int
    count: int  # frames
    future: "Future[Prediction]"


class SlotEngine(abc.ABC):
    """An Engine with one input buffer and one thread per request that may be in flight.

    A backend hands over its input buffers and implements `_infer`, which runs on a worker thread and blocks.
    Blocking calls rather than a library's callbacks, because of how those fail: OpenVINO 2026.4 calls the
    callback of a failed request as if it had succeeded, and its `wait` does not raise either.

    `inputs` holds one `(batch, H, W, 3) uint8` array per slot.
    """

    def __init__(self, spec: EngineSpec, description: str, inputs: Sequence[NDArray[np.uint8]]) -> None:
        self.spec = spec
        self.description = description
        self.capacity = len(inputs)
        self.batch = len(inputs[0])  # frames a submit may hold
        self._inputs = inputs
        self._free = list(range(self.capacity))
        self._unresolved = 0
        self._closed = False
        self._changed = threading.Condition()
        self._work: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()  # never more than `capacity`
        # daemons: a native library that hangs must not keep the process from ending
        self._threads = [
            threading.Thread(target=self._run, name=f"{type(self).__name__}-{slot}", daemon=True)
            for slot in range(self.capacity)
        ]
        for thread in self._threads:
            thread.start()

    @abc.abstractmethod
    def _infer(self, slot: int, count: int) -> NDArray[np.uint8]:
        """Probability `(count, H, W)` of the first `count` frames of a slot, in memory of its own."""

    def submit(self, frames: NDArray[np.uint8]) -> "Future[Prediction]":
        """Start inference on `frames: (N, H, W, 3) uint8 BGR`, 1 ≤ N ≤ `batch`; they are copied at once.

        Raises EngineBusy when `capacity` requests are in flight, EngineError on a wrong shape or dtype and
        after `close`. A failure inside the backend is set on the future as EngineError.
        """
        self._check(frames)
        with self._changed:
            if self._closed:
                raise EngineError(f"{self.spec.name}: the engine is closed; open it again")
            if not self._free:
                raise EngineBusy(
                    f"{self.spec.name}: {self.capacity} requests are in flight; await one before submitting"
                )
            slot = self._free.pop()
            self._unresolved += 1
        request = _Request(slot, len(frames), Future())
        request.future.set_running_or_notify_cancel()  # from here on it cannot be cancelled
        np.copyto(self._inputs[slot][: request.count], frames)
        self._work.put(request)
        return request.future

    def close(self) -> None:
        """Wait for requests in flight and free everything; later calls do nothing.

        Not to be called from a future's callback, which itself is part of a request in flight.
        """
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.wait_for(lambda: self._unresolved == 0)
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()
        self._inputs = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _check(self, frames: NDArray[np.uint8]) -> None:
        height, width = self.spec.height, self.spec.width
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != (height, width, 3):
            raise EngineError(
                f"{self.spec.name}: frames are {frames.dtype} {frames.shape}, "
                f"expected uint8 (N, {height}, {width}, 3); see rtpolyp.imaging.preprocess.resize_frame"
            )
        if not 1 <= len(frames) <= self.batch:
            raise EngineError(
                f"{self.spec.name}: {len(frames)} frames in one submit, opened for 1 to {self.batch}; "
                "open the engine with a larger batch"
            )

    def _run(self) -> None:
        while (request := self._work.get()) is not None:
            outcome: Prediction | EngineError
            try:
                outcome = Prediction(self._infer(request.slot, request.count))
            except Exception as exc:  # whatever a native library raises; the consumer gets it with its cause
                outcome = EngineError(
                    f"{self.spec.name}: inference failed ({one_line(exc)}) on {self.description}; "
                    "try another backend or precision"
                )
                outcome.__cause__ = exc
            with self._changed:  # before the future resolves: whoever awaits it may submit at once
                self._free.append(request.slot)
            if isinstance(outcome, EngineError):
                request.future.set_exception(outcome)
            else:
                request.future.set_result(outcome)
            with self._changed:
                self._unresolved -= 1
                self._changed.notify_all()
