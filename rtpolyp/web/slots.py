"""Slots: pictures in memory that the pipeline and the web server's process share."""

from multiprocessing.shared_memory import SharedMemory

import numpy as np
from numpy.typing import NDArray

__all__ = ["COUNT", "LARGEST", "Slots"]

COUNT = 4  # one is written, one is read, two wait
LARGEST = (1280, 720)  # pixels of a picture
BYTES = LARGEST[0] * LARGEST[1] * 3 // 2  # of 4:2:0


class Slots:
    """COUNT places for the planes of a 4:2:0 picture of up to LARGEST.

    As with an isolated engine's ring, the process that attaches touches the memory first, since the system
    kills the toucher where there is none left; then the creator takes the name away.
    """

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory
        self.name = memory.name
        self._bytes: NDArray[np.uint8] = np.ndarray((COUNT, BYTES), np.uint8, memory.buf)

    @classmethod
    def create(cls) -> "Slots":
        """Make new shared memory."""
        return cls(SharedMemory(create=True, size=COUNT * BYTES))

    @classmethod
    def attach(cls, name: str) -> "Slots":
        """The memory that another process created."""
        slots = cls(SharedMemory(name))
        slots._bytes[:] = 0
        return slots

    def planes(self, slot: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        """A view of the slot as `(height * 3 / 2, width) uint8`: Y, then U, then V, each without padding."""
        width, height = size
        return self._bytes[slot, : width * height * 3 // 2].reshape(height * 3 // 2, width)

    def unlink(self) -> None:
        """Take the name away; both processes keep the memory."""
        self._memory.unlink()

    def close(self) -> None:
        """Unmap the memory from this process."""
        del self._bytes
        self._memory.close()
