"""What every local backend shares: slots, argument checks, an orderly end; and threads, where calls block."""

import abc
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import EngineBusy, EngineError
from rtpolyp.inference.engine import Prediction, Timing
from rtpolyp.spec import EngineSpec

__all__ = ["LocalEngine", "Request", "SlotEngine", "check_prediction", "one_line"]


def one_line(exc: BaseException) -> str:
    """A foreign exception's message on one line, for the parenthesis in ours."""
    return " ".join(str(exc).split()) or type(exc).__name__


def check_prediction(prediction: Prediction, expected: tuple[int, ...]) -> None:
    """Raise EngineError where an answer is not what the contract says: it came out of native code.

    `expected` is the shape (N, H, W) of the probability.
    """
    probability, presence = prediction.probability, prediction.presence
    if probability.dtype != np.uint8 or probability.shape != expected:
        raise EngineError(
            f"the engine answered {probability.dtype} {probability.shape}, expected uint8 {expected}; "
            "export the bundle again"
        )
    if presence is not None and (presence.dtype != np.float32 or presence.shape != expected[:1]):
        raise EngineError(
            f"the engine's presence is {presence.dtype} {presence.shape}, expected float32 {expected[:1]}; "
            "export the bundle again"
        )


@dataclass(frozen=True)
class Request:
    """What one `submit` asked for; its frames lie in the slot's input buffer."""

    slot: int
    count: int  # frames
    future: "Future[Prediction]"


class LocalEngine(abc.ABC):
    """An Engine with one input buffer per request that may be in flight.

    A subclass runs requests as it likes: `_begin` hands one over, `_resolve` gives its outcome back.
    `inputs` holds one `(batch, H, W, 3) uint8` array per slot.
    """

    backend = ""  # as Engine.backend
    precision: str = "auto"  # as Engine.precision
    close_seconds: float | None = None  # how long `close` waits for requests in flight; None: as they need

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

    @abc.abstractmethod
    def _begin(self, request: Request) -> None:
        """Have a request run on another thread, which calls `_resolve` at its end; returns at once."""

    @abc.abstractmethod
    def _end(self) -> None:
        """Stop the threads and free everything; nothing is in flight any more."""

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
        request = Request(slot, len(frames), Future())
        request.future.set_running_or_notify_cancel()  # from here on it cannot be cancelled
        np.copyto(self._inputs[slot][: request.count], frames)
        self._begin(request)
        return request.future

    def close(self) -> None:
        """Wait for requests in flight and free everything; later calls do nothing.

        Not to be called from a future's callback, which itself is part of a request in flight. Raises
        EngineError where a backend that bounds this wait has no answer in `close_seconds`.
        """
        with self._changed:
            if self._closed:
                return
            self._closed = True
            if not self._changed.wait_for(lambda: self._unresolved == 0, self.close_seconds):
                raise EngineError(
                    f"{self.spec.name}: {self._unresolved} requests got no answer within "
                    f"{self.close_seconds:g} s from {self.description}; end this program"
                )
        self._inputs = ()
        self._end()

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

    def _resolve(self, request: Request, outcome: Prediction | Exception) -> None:
        """Free the request's slot, then resolve its future; whatever a native library raised is wrapped."""
        with self._changed:  # before the future resolves: whoever awaits it may submit at once
            self._free.append(request.slot)
        if isinstance(outcome, Prediction):
            request.future.set_result(outcome)
        else:
            request.future.set_exception(self._as_engine_error(outcome))
        with self._changed:
            self._unresolved -= 1
            self._changed.notify_all()

    def _as_engine_error(self, exc: Exception) -> EngineError:
        if isinstance(exc, EngineError):
            return exc
        error = EngineError(
            f"{self.spec.name}: inference failed ({one_line(exc)}) on {self.description}; "
            "try another backend or precision"
        )
        error.__cause__ = exc
        return error


class SlotEngine(LocalEngine):
    """A LocalEngine with one thread per slot: a backend implements `_infer`, which blocks.

    Blocking calls rather than a library's callbacks, because of how those fail: OpenVINO 2026.4 calls the
    callback of a failed request as if it had succeeded, and its `wait` does not raise either.
    """

    def __init__(self, spec: EngineSpec, description: str, inputs: Sequence[NDArray[np.uint8]]) -> None:
        super().__init__(spec, description, inputs)
        self._work: queue.SimpleQueue[Request | None] = queue.SimpleQueue()  # never more than `capacity`
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

    def _begin(self, request: Request) -> None:
        self._work.put(request)

    def _end(self) -> None:
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (request := self._work.get()) is not None:
            start = time.perf_counter()
            try:
                probability = self._infer(request.slot, request.count)
                timing = Timing(compute=time.perf_counter() - start)
                prediction = Prediction(probability, timing=timing)
                check_prediction(prediction, (request.count, self.spec.height, self.spec.width))
                outcome: Prediction | Exception = prediction
            except Exception as exc:  # the consumer gets it with its cause
                outcome = exc
            self._resolve(request, outcome)
