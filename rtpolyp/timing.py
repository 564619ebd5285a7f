"""Stage timer: how long each stage of the pipeline took, per frame."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["StageTimer"]


class StageTimer:
    """Collects durations by stage name; safe to use from several threads.

    Only the newest `capacity` samples of a stage are kept, so that memory does not grow with a run's length.
    """

    def __init__(self, capacity: int = 65_536) -> None:
        self._samples: dict[str, list[float]] = defaultdict(list)
        self._counts: dict[str, int] = defaultdict(int)
        self._capacity = capacity
        self._lock = threading.Lock()

    def add(self, stage: str, seconds: float) -> None:
        """Record one duration in seconds."""
        with self._lock:
            ring = self._samples[stage]
            if len(ring) < self._capacity:
                ring.append(seconds)
            else:
                ring[self._counts[stage] % self._capacity] = seconds
            self._counts[stage] += 1

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Time the body of a `with` block."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - start)

    def histogram(self, stage: str) -> list[list[float]]:
        """The newest durations as [upper edge in ms, count], for each millisecond that has any."""
        with self._lock:
            counts = Counter(int(1000 * seconds) + 1 for seconds in self._samples.get(stage, ()))
        return [[upper, count] for upper, count in sorted(counts.items())]

    def samples(self) -> dict[str, list[float]]:
        """A copy of the newest durations in seconds, by stage, in order of first use."""
        with self._lock:
            return {stage: list(ring) for stage, ring in self._samples.items()}
