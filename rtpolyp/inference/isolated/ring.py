"""Frames and probability maps in memory that two processes share, one place per request in flight."""

from multiprocessing.shared_memory import SharedMemory
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["FrameRing"]


class FrameRing:
    """Places for `slots` requests of up to `batch` frames each.

    `frames: (slots, batch, H, W, 3) uint8`, `probability: (slots, batch, H, W) uint8`. One process creates
    the ring, the other attaches to it by name, after which the creator takes the name away: the memory then
    goes with the last process that maps it, however that ends, and nothing is left in /dev/shm.
    """

    def __init__(self, memory: SharedMemory, shape: tuple[int, int, int, int]) -> None:
        self._memory = memory
        self.name = memory.name
        pixels = int(np.prod(shape))
        self.frames: NDArray[np.uint8] = np.ndarray((*shape, 3), np.uint8, memory.buf)
        self.probability: NDArray[np.uint8] = np.ndarray(shape, np.uint8, memory.buf, offset=3 * pixels)

    @classmethod
    def create(cls, shape: tuple[int, int, int, int]) -> Self:
        """New memory for `shape` = (slots, batch, H, W)."""
        return cls(SharedMemory(create=True, size=4 * int(np.prod(shape))), shape)

    @classmethod
    def attach(cls, name: str, shape: tuple[int, int, int, int]) -> Self:
        """The memory that another process created, and touched here first.

        Where /dev/shm is full, it is the toucher that the system kills (SIGBUS), so that must be the engine's
        process and never the one that shows the picture.
        """
        ring = cls(SharedMemory(name), shape)
        ring.frames[:], ring.probability[:] = 0, 0
        return ring

    def unlink(self) -> None:
        """Take the name away; both processes keep the memory."""
        self._memory.unlink()

    def close(self) -> None:
        """Unmap the memory from this process; nobody may hold a view of it any more."""
        del self.frames, self.probability
        self._memory.close()
