"""An engine without a network, for tests of everything around an engine."""

import threading
import time
from collections.abc import Container, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from rtpolyp.inference.local_engine import SlotEngine
from rtpolyp.spec import EngineSpec

__all__ = ["StubEngine", "redness"]


def redness(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`(N, H, W, 3) uint8 BGR` → `(N, H, W) uint8`: 64 + red − mean of green and blue, clipped.

    Mucosa, itself reddish, stays below 128.
    """
    blue, green, red = (frames[..., channel].astype(np.int16) for channel in range(3))
    return np.clip(64 + red - (green + blue) // 2, 0, 255).astype(np.uint8)


class StubEngine(SlotEngine):
    """Calls red pixels polyp; can be slow, raise or hang at chosen requests.

    `delay_seconds` is slept per request. Requests are counted from 0 in the order in which they start:
    those in `fail_at` raise, those in `hang_at` block until `release` or `close`, those in `pauses` sleep so
    many seconds more. `took` holds the true seconds of each request that has ended, whatever it was told.
    """

    backend = "stub"

    def __init__(
        self,
        spec: EngineSpec,
        *,
        capacity: int = 2,
        batch: int = 1,
        delay_seconds: float = 0.0,
        fail_at: Container[int] = (),
        hang_at: Container[int] = (),
        pauses: Mapping[int, float] = MappingProxyType({}),
    ) -> None:
        self._delay_seconds = delay_seconds
        self._fail_at, self._hang_at, self._pauses = fail_at, hang_at, pauses
        self.took: dict[int, float] = {}
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._started = 0
        inputs = [np.zeros((batch, spec.height, spec.width, 3), np.uint8) for _ in range(capacity)]
        super().__init__(spec, f"stub, delay {1000 * delay_seconds:g} ms", inputs)

    def release(self) -> None:
        """Let requests that hang, and later ones that would, go on."""
        self._released.set()

    def close(self) -> None:
        """Release what hangs and wait for it; later calls do nothing."""
        self.release()
        super().close()

    def _infer(self, slot: int, count: int) -> NDArray[np.uint8]:
        start = time.perf_counter()
        with self._lock:
            index, self._started = self._started, self._started + 1
        if index in self._hang_at:
            self._released.wait()
        if delay := self._delay_seconds + self._pauses.get(index, 0.0):
            time.sleep(delay)
        if index in self._fail_at:
            raise RuntimeError(f"request {index} was told to fail")
        probability = redness(self._inputs[slot][:count])
        self.took[index] = time.perf_counter() - start
        return probability
