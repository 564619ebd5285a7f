"""Telemetry: what a live session counts and times, for the scrape, the log and the summary at its end."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

__all__ = ["AI_STATES", "COUNTERS", "TIMES", "Counter", "Telemetry", "Time", "TimeSummary"]

Counter = Literal[
    "frames_captured",
    "frames_displayed",
    "frames_covered",
    "frames_dropped",
    "inferences",
    "inference_failures",
    "engine_restarts",
    "source_outages",
    "corrupt_packets",
    "skipped_packets",
    "lost_pictures",
    "damaged_pictures",
    "activations",
    "activations_suppressed",
    "drifts",
    "recording_frames_dropped",
    "recordings_failed",
    "snapshots",
]
COUNTERS: dict[Counter, str] = {
    "frames_captured": "Frames that left the decoder.",
    "frames_displayed": "Frames that were shown.",
    "frames_covered": "Frames that were shown with an unexpired result of the AI.",
    "frames_dropped": "Frames that a newer one replaced before they were shown.",
    "inferences": "Results that the engine gave.",
    "inference_failures": "Frames that the engine failed on or answered too late.",
    "engine_restarts": "Times that the engine's process was started anew.",
    "source_outages": "Times that the source stopped giving frames.",
    "corrupt_packets": "Packets damaged on the way, or refused by the decoder.",
    "skipped_packets": "Packets left undecoded, to catch up with the stream.",
    "lost_pictures": "Pictures that are missing near damage.",
    "damaged_pictures": "Pictures shown with errors that the decoder conceals.",
    "activations": "Alerts.",
    "activations_suppressed": "Alerts held back: too short, or the frame was blurred, frozen or outside.",
    "drifts": "Stretches of ten seconds that were unlike everything that the network was trained on.",
    "recording_frames_dropped": "Frames missing in a recording because its disk was too slow.",
    "recordings_failed": "Recordings that ended early.",
    "snapshots": "Snapshots written.",
}
Time = Literal["overlay_age", "display_gap", "inference", "alert_delay"]
TIMES: dict[Time, str] = {
    "overlay_age": "Age of the result drawn on a frame, from the capture of the frame it came from.",
    "display_gap": "Time between two shown pictures.",
    "inference": "Time from handing a frame to the engine to its result.",
    "alert_delay": "Time from a polyp's first outline to its alert.",
}
AI_STATES = ("starting", "on", "reduced", "off")

BIN = 0.0005  # seconds: how finely times are resolved
BINS = 4000  # the last one holds everything from 2 s on
BOUNDS = (0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0)  # seconds, for the scrape


@dataclass
class TimeSummary:
    """How long something took, over a whole session, in constant memory."""

    count: int = 0
    total: float = 0.0  # seconds
    maximum: float = 0.0  # seconds
    bins: list[int] = field(default_factory=lambda: [0] * (BINS + 1))

    def add(self, seconds: float) -> None:
        """Take in one duration."""
        self.count += 1
        self.total += seconds
        self.maximum = max(self.maximum, seconds)
        self.bins[min(BINS, max(0, int(seconds / BIN)))] += 1

    def percentile(self, rank: float) -> float:
        """Seconds that `rank` % of the durations do not exceed, rounded up to 0.5 ms; NaN without any."""
        if not self.count:
            return float("nan")
        needed = rank / 100 * self.count
        reached = next(index for index, count in enumerate(accumulate(self.bins)) if count >= needed)
        return min(self.maximum, (reached + 1) * BIN) if reached < BINS else self.maximum

    def cumulative(self, bounds: Iterable[float] = BOUNDS) -> list[tuple[float, int]]:
        """How many durations lie below each bound."""
        return [(bound, sum(self.bins[: round(bound / BIN)])) for bound in bounds]


class Telemetry:
    """Counters, times and the AI's state; safe to use from several threads, and never waited for.

    The lock is held for single additions and for copies, so neither a scrape nor a slow reader of one can
    hold up whoever counts.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Counter, int] = dict.fromkeys(COUNTERS, 0)
        self._times: dict[Time, TimeSummary] = {name: TimeSummary() for name in TIMES}
        self._ai_state = AI_STATES[0]

    def count(self, counter: Counter, amount: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._counts[counter] += amount

    def time(self, name: Time, seconds: float) -> None:
        """Take in one duration."""
        with self._lock:
            self._times[name].add(seconds)

    @property
    def ai_state(self) -> str:
        """One of AI_STATES."""
        return self._ai_state

    @ai_state.setter
    def ai_state(self, state: str) -> None:
        if state not in AI_STATES:
            raise ValueError(f"{state!r} is none of {AI_STATES}")
        self._ai_state = state

    def counts(self) -> dict[Counter, int]:
        """A copy of all counters."""
        with self._lock:
            return dict(self._counts)

    def times(self) -> dict[Time, TimeSummary]:
        """A copy of all times."""
        with self._lock:
            return {
                name: TimeSummary(time.count, time.total, time.maximum, time.bins.copy())
                for name, time in self._times.items()
            }

    def histograms(self) -> dict[Time, list[list[float]]]:
        """A histogram of each time: [upper edge in ms, count] for each millisecond that has any."""
        per_bin = round(0.001 / BIN)
        found: dict[Time, list[list[float]]] = {}
        for name, time in self.times().items():
            if time.count:
                counts = [sum(time.bins[i : i + per_bin]) for i in range(0, BINS + 1, per_bin)]
                found[name] = [[index + 1, count] for index, count in enumerate(counts) if count]
        return found

    def summary_lines(self, seconds: float) -> list[str]:
        """What to print when a session of `seconds` ends, a few lines of plain text."""
        n, times = self.counts(), self.times()
        shown = max(1, n["frames_displayed"])
        minutes = max(seconds, 1e-9) / 60
        lines = [
            f"{n['frames_displayed']} frames shown in {seconds:.1f} s "
            f"({n['frames_displayed'] / max(seconds, 1e-9):.1f} frames/s), {n['frames_dropped']} dropped; "
            f"{100 * n['frames_covered'] / shown:.1f} % with an unexpired result",
            f"{n['inferences']} inferences ({n['inferences'] / max(seconds, 1e-9):.1f}/s), "
            f"{n['inference_failures']} failed; engine restarted {n['engine_restarts']} times; "
            f"{n['source_outages']} outages of the source, {n['corrupt_packets']} packets corrupt, "
            f"{n['skipped_packets']} skipped, {n['lost_pictures']} pictures lost, "
            f"{n['damaged_pictures']} shown with errors",
            f"{n['activations']} activations ({n['activations'] / minutes:.2f}/min), "
            f"{n['activations_suppressed']} suppressed",
        ]
        if n["drifts"]:
            lines.append(f"{n['drifts']} stretches of ten seconds unlike what the network was trained on")
        for name, time in times.items():
            if time.count:
                p50, p99, p999 = (1000 * time.percentile(rank) for rank in (50, 99, 99.9))
                lines.append(
                    f"{name.replace('_', ' ')}: p50 {p50:.1f}, p99 {p99:.1f}, p99.9 {p999:.1f}, "
                    f"longest {1000 * time.maximum:.1f} ms"
                )
        if n["recording_frames_dropped"] or n["recordings_failed"]:
            lines.append(
                f"recordings: {n['recordings_failed']} ended early, "
                f"{n['recording_frames_dropped']} frames missing"
            )
        return lines
