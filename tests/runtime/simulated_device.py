"""A GPU in Python that does all that CUDA's rules allow to catch a program that relies on more.

It holds work back until somebody waits for it, and then runs the streams in a seeded random order against
each other; or it runs some at once, just as it likes. Memory that a program may not rely on holds POISON:
device memory that was never written, the target of a download under way, the input of a run that is over.
What a program does against the rules is noted in `hazards`.
"""

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rtpolyp.inference.tensorrt.device import Enqueue, Memory

WAIT_SECONDS = 10.0  # for what takes milliseconds: a failure, not a measurement
POISON = 0xA5
HOLD_SECONDS = 20.0  # how long `hold` may last: a failure, not a measurement


class SimulatedStream:
    def __init__(self, device: "SimulatedDevice", handle: int) -> None:
        self.device, self.handle = device, handle
        self.work: deque[Callable[[], None]] = deque()
        self.captured: list[Callable[[], None]] | None = None

    def put(self, work: Callable[[], None]) -> None:
        if self.captured is not None:
            self.captured.append(work)
        else:
            self.work.append(work)
            self.device.progress()

    def synchronise(self) -> None:
        self.device.call("stream.synchronise")
        if self.captured is not None:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.device.run_until(lambda: not self.work)


class SimulatedEvent:
    def __init__(self, device: "SimulatedDevice") -> None:
        self.device = device
        self.recorded = self.passed = 0
        self.passed_at = 0.0

    def record(self, stream: SimulatedStream) -> None:
        self.device.call("record")
        self.recorded += 1
        number = self.recorded

        def passes() -> None:
            self.passed, self.passed_at = max(self.passed, number), time.perf_counter()

        stream.put(passes)

    def wait(self) -> None:
        self.device.call("wait")
        self.device.run_until(lambda: self.passed == self.recorded)  # never recorded: at once, as in CUDA

    def seconds_since(self, earlier: "SimulatedEvent") -> float:
        self.device.call("seconds_since")
        for event in (self, earlier):
            if not event.recorded or event.passed < event.recorded:
                raise RuntimeError("device not ready")
        return self.passed_at - earlier.passed_at


class SimulatedDevice:
    """`eagerness` is the share of work that runs before anybody waits for it.

    `failing` names a call of Device, Event or NetworkOnDevice that raises, at its next turn only, or, where
    `lost`, it and every call from then on.
    """

    def __init__(self, seed: int = 0, *, eagerness: float = 0.0, can_capture: bool = True) -> None:
        self.failing: str | None = None
        self.lost = False
        self.hazards: list[str] = []
        self.calls: Counter[str] = Counter()
        self.graphs = 0
        self.owner: int | None = None
        self.handed_out = 0
        self._random, self._eagerness, self._can_capture = random.Random(seed), eagerness, can_capture
        self._streams: list[SimulatedStream] = []
        self._memory: dict[Memory, NDArray[np.uint8]] = {}
        self._host: list[NDArray[np.uint8]] = []
        self._moving = threading.Event()
        self._moving.set()

    def hold(self) -> None:
        """Run nothing until `release`, whoever waits."""
        self._moving.clear()

    def release(self) -> None:
        self._moving.set()

    def host_array(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        self.call("host_array")
        self._host.append(np.zeros(shape, np.uint8))
        self.handed_out += 1
        return self._host[-1]

    def memory(self, size: int) -> Memory:
        self.call("memory")
        address = 1 << 20 | len(self._memory) << 8
        self._memory[address] = np.full(size, POISON, np.uint8)
        self.handed_out += 1
        return address

    def stream(self) -> SimulatedStream:
        self.call("stream")
        self._streams.append(SimulatedStream(self, 1 + len(self._streams)))
        self.handed_out += 1
        return self._streams[-1]

    def event(self) -> SimulatedEvent:
        self.call("event")
        self.handed_out += 1
        return SimulatedEvent(self)

    def upload(self, memory: Memory, source: NDArray[np.uint8], stream: SimulatedStream) -> None:
        self.call("upload")
        self._check_page_locked(source)
        before = source.tobytes()

        def copy() -> None:
            if source.tobytes() != before:
                self.hazards.append("host memory was overwritten while its upload was under way")
            self.at(memory)[: source.size] = source.reshape(-1)

        stream.put(copy)

    def download(self, target: NDArray[np.uint8], memory: Memory, stream: SimulatedStream) -> None:
        self.call("download")
        self._check_page_locked(target)
        target[...] = POISON

        def copy() -> None:
            target[...] = self.at(memory)[: target.size].reshape(target.shape)

        stream.put(copy)

    def capture(self, stream: SimulatedStream, enqueue: Enqueue) -> Enqueue:
        self.call("capture")
        stream.captured = []
        try:
            enqueue()
            work = list(stream.captured)
        finally:
            stream.captured = None
        if not self._can_capture:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.graphs += 1

        def replay() -> None:
            self.call("replay")
            for piece in work:
                stream.put(piece)

        return replay

    def synchronise(self) -> None:
        self.call("synchronise")
        self.run_until(lambda: not any(stream.work for stream in self._streams))

    def call(self, name: str) -> None:
        """Note a call: on which thread, and whether it was told to fail."""
        self.calls[name] += 1
        if self.owner != threading.get_ident():
            self.hazards.append(f"{name} on another thread than the owner's")
        if name == self.failing:
            self.failing = "everything" if self.lost else None
            if self.lost:
                for stream in self._streams:
                    stream.work.clear()
            raise RuntimeError(f"{name} was told to fail\nat once")
        if self.failing == "everything":
            raise RuntimeError("an illegal memory access was encountered")

    def at(self, memory: Memory) -> NDArray[np.uint8]:
        return self._memory[memory]

    def stream_of(self, handle: int) -> SimulatedStream:
        return self._streams[handle - 1]

    def progress(self) -> None:
        """Run some of the work, or none."""
        while self._moving.is_set() and self._random.random() < self._eagerness and self._step():
            pass

    def run_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if not self._moving.wait(HOLD_SECONDS):
                raise RuntimeError("held for too long")
            if not self._step():
                raise RuntimeError("waiting for what nobody will do")

    def __enter__(self) -> Self:
        self.owner = threading.get_ident()
        return self

    def __exit__(self, *exc: object) -> None:
        if self.owner != threading.get_ident():
            self.hazards.append("closed on another thread than the owner's")
        while self._step():
            pass
        for array in [*self._host, *self._memory.values()]:
            array[...] = POISON
        self._memory.clear()
        self.handed_out = 0

    def _step(self) -> bool:
        busy = [stream for stream in self._streams if stream.work]
        if busy:
            self._random.choice(busy).work.popleft()()
        return bool(busy)

    def _check_page_locked(self, array: NDArray[np.uint8]) -> None:
        if not any(np.shares_memory(array, own) for own in self._host):
            self.hazards.append("a copy from or to memory that is not page-locked")


def wait_for(condition) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)
