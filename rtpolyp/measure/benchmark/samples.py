"""What a measurement collects, and what is told about it."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtpolyp.measure.benchmark.conditions import Conditions
from rtpolyp.measure.statistics import percentile

__all__ = ["BLOCKS", "THROUGHPUT", "Measurement", "Samples", "Schedule", "Summary", "block_medians", "rates"]

Samples = NDArray[np.float64]

THROUGHPUT = "throughput"  # the one figure in frames/s, of which more is better; all others are milliseconds
RARE = 5_000  # samples from which p99.9 is told: of fewer, at most five lie above it
BLOCKS = 30  # what a run is cut into: a block is long enough to average over single hiccups


@dataclass(frozen=True)
class Schedule:
    """How long one measurement takes; trtexec's defaults."""

    warm_up_seconds: float = 0.2
    seconds: float = 3.0
    iterations: int = 10  # at least so many after the warm-up, however long they take

    def for_requests(self, in_flight: int) -> "Schedule":
        """The same with so many iterations of `in_flight` requests each: enough blocks for `rates`."""
        return replace(self, iterations=self.iterations * in_flight)


@dataclass(frozen=True)
class Summary:
    """A figure's distribution, in milliseconds, or in frames/s for the throughput."""

    count: int
    minimum: float
    mean: float
    median: float
    p90: float
    p95: float
    p99: float
    p99_9: float | None  # None below 5,000 samples
    maximum: float
    variation: float  # coefficient of variation: standard deviation / mean
    blocks: tuple[float, ...]  # medians of consecutive blocks, for comparing two runs

    @classmethod
    def of(cls, samples: Samples) -> "Summary":
        """Summarise samples in the order in which they were taken. Raises ValueError without any."""
        p50, p90, p95, p99, p99_9 = (percentile(samples, rank) for rank in (50, 90, 95, 99, 99.9))
        mean = float(samples.mean())
        return cls(
            count=len(samples),
            minimum=float(samples.min()),
            mean=mean,
            median=p50,
            p90=p90,
            p95=p95,
            p99=p99,
            p99_9=p99_9 if len(samples) >= RARE else None,
            maximum=float(samples.max()),
            variation=float(samples.std()) / mean if mean else math.nan,
            blocks=tuple(block_medians(samples)),
        )


@dataclass(frozen=True)
class Measurement:
    """One run under load: samples by figure, in the order in which they were taken."""

    name: str  # e.g. "engine, one frame at a time"
    headline: str  # the figure that stands for this measurement when two runs are compared
    engine: str  # Engine.description
    samples: dict[str, Samples]
    conditions: Conditions
    notes: list[str] = field(default_factory=list)  # for a person; one line each
    dropped: int | None = None  # frames of a live stream that were overwritten before they were taken
    late: int | None = None  # frames of a live stream that were not done when the next one was due

    @property
    def figures(self) -> dict[str, Summary]:
        """The distribution of each figure."""
        return {name: Summary.of(samples) for name, samples in self.samples.items()}


def block_medians(samples: Samples) -> list[float]:
    """Medians of up to BLOCKS consecutive blocks of about equal length."""
    blocks = np.array_split(samples, min(BLOCKS, len(samples)))
    return [float(np.median(block)) for block in blocks]


def rates(finished: ArrayLike, at_least: int) -> Samples:
    """Frames/s over consecutive blocks of completions, given the times in seconds at which frames finished.

    A block holds a multiple of `at_least` completions, since requests in flight together finish together.
    Raises ValueError with fewer than two completions.
    """
    times = np.sort(np.asarray(finished, np.float64))
    if len(times) < 2:
        raise ValueError(f"{len(times)} completions make no rate")
    step = min(at_least * max(1, len(times) // (BLOCKS * at_least)), len(times) - 1)
    return np.asarray(step / np.diff(times[::step]))
