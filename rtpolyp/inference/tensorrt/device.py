"""What the slot machinery needs of a GPU and of a network on it: CUDA's own notions, and no more of them.

Everything asynchronous follows CUDA's rules. Work on one stream runs in order, streams run in any order
against each other. An upload reads host memory, and a download writes it, at any time until the stream has
got past it. An event that was never recorded counts as passed. One thread makes, uses and frees all of it.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Device", "Enqueue", "Event", "Memory", "NetworkOnDevice", "Stream"]

Memory = int  # address of a piece of device memory
Enqueue = Callable[[], None]  # puts work on the stream that it was made for, and returns at once


class Stream(Protocol):
    """A queue of device work; never the default one, which waits for all others."""

    @property
    def handle(self) -> int:
        """CUDA's own handle, for a library that puts work on the stream."""

    def synchronise(self) -> None:
        """Wait until all work put on it so far is done."""


class Event(Protocol):
    """A mark in a stream's work."""

    def record(self, stream: Stream) -> None:
        """Set the mark behind the work that the stream has so far."""

    def wait(self) -> None:
        """Wait, asleep, until the mark is passed."""

    def seconds_since(self, earlier: "Event") -> float:
        """Time between two passed marks, by the device's clock."""


class Device(Protocol):
    """One GPU; whatever fails raises. Whoever opened it closes it: it ends its work and frees everything."""

    def host_array(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Page-locked host memory, zeroed: copies from and to it are asynchronous."""

    def memory(self, size: int) -> Memory:
        """`size` bytes of device memory."""

    def stream(self) -> Stream:
        """A new stream."""

    def event(self) -> Event:
        """A new event, not recorded yet."""

    def upload(self, memory: Memory, source: NDArray[np.uint8], stream: Stream) -> None:
        """Put a copy from host to device on the stream."""

    def download(self, target: NDArray[np.uint8], memory: Memory, stream: Stream) -> None:
        """Put a copy from device to host on the stream."""

    def capture(self, stream: Stream, enqueue: Enqueue) -> Enqueue:
        """Record what `enqueue` puts on the stream as a graph, and return what replays it with one call.

        Raises where that work cannot be captured, and leaves the stream as it was.
        """

    def synchronise(self) -> None:
        """Wait for all work of the device; raises for good once the device is lost to this process."""


class NetworkOnDevice(Protocol):
    """A network that is loaded on a device."""

    description: str  # library, precision, card
    least: int  # frames that a run has at least; fewer are run as that many, the rest of them stale
    replays: bool  # captures and replays its work by itself

    def execution(self, count: int, frames: Memory, probability: Memory, stream: Stream) -> Enqueue:
        """A new context for `count` frames between two pieces of memory, on one stream."""

    def warmed_up(self) -> None:
        """Told once, when every slot has run."""
