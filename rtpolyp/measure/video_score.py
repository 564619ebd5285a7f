"""What the observed frames of a video come to: the temporal metrics, pooled over its sequences."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtpolyp.measure.statistics import Interval, clopper_pearson, percentile, poisson_interval
from rtpolyp.measure.temporal import (
    ACTIVATION_FRAMES,
    ACTIVATION_SECONDS,
    Appearance,
    activations,
    chains,
    flicker_rate,
    frame_seconds,
    returns,
)
from rtpolyp.measure.video_evaluation import Observation

__all__ = ["Activations", "PolypFreeScore", "PolypScore", "VideoScore", "score_video", "to_dict"]

Sequences = Sequence[Sequence[Observation]]


@dataclass(frozen=True)
class Activations:
    """Outlines on polyp-free frames that stayed for a time: count, rate and its exact 95 % interval."""

    minimum_seconds: float
    count: int
    per_minute: float
    interval: Interval  # per minute, as if they came independently
    minimum_frames: int = 1
    per_examination: float | None = None  # a video is one; None where nobody said how many there are


@dataclass(frozen=True)
class PolypFreeScore:
    """The frames of which it is known that they have no polyp."""

    frames: int
    seconds: float
    outlined: int  # frames with an outline
    area: float  # mean share of the endoscope's picture inside outlines
    activations: tuple[Activations, ...]  # by ACTIVATION_SECONDS; none where no time passed
    activations_by_frames: tuple[Activations, ...]  # by ACTIVATION_FRAMES, likewise


@dataclass(frozen=True)
class PolypScore:
    """The frames of which it is known that they have polyps. An outline meets a polyp in one shared pixel."""

    annotated: int  # polyps, counted in each frame
    found: int  # of these, those that an outline met
    appearances: int  # polyps, each counted from coming into view to leaving it
    seconds: float  # that they were in view, summed
    flicker_per_second: float | None  # presence changes; None where no time passed
    missed: int  # appearances without any outline
    per_polyp: Interval  # exact 95 % of the appearances that any outline met, as if they were independent
    first_outline_ms: tuple[float, ...]  # of the others, each from its first frame on
    unalerted: int  # appearances without an alert
    first_alert_ms: tuple[float, ...]  # of the others
    dice: float | None  # mean over frames with a polyp; None where only boxes are known

    @property
    def sensitivity(self) -> float:
        """Share of the annotated polyps that an outline met, frame by frame."""
        return self.found / self.annotated

    @property
    def sensitivity_per_polyp(self) -> float:
        """Share of the appearances that an outline met in any frame.

        Per-polyp sensitivity as in Brand et al., Digestion 2022, see `temporal.activations`. The truth does
        not say which polyp it is that comes back after it was out of view: it counts again.
        """
        return (self.appearances - self.missed) / self.appearances


@dataclass(frozen=True)
class VideoScore:
    """All temporal metrics of one video or of several; truth-free ones first."""

    sequences: int
    frames: int
    seconds: float
    outlines: int  # summed over frames
    outlined: int  # frames with an outline
    returns: int  # outlines that vanished and came back within half a second
    consistency: float | None  # mean warped IoU; None without two frames that show an outline
    alerts: int  # that started
    false_outlines: int | None = None  # that met no polyp, summed over frames; None without truth
    polyps: PolypScore | None = None  # None without truth, or without a polyp in it
    polyp_free: PolypFreeScore | None = None  # None without truth, or without a polyp-free frame in it

    @property
    def returns_per_minute(self) -> float:
        """Blinking of all outlines, true or false."""
        return 60 * self.returns / self.seconds if self.seconds else 0.0


def score_video(sequences: Sequences, *, examinations: int | None = None) -> VideoScore:
    """Score what `observe` gave, of one video or of several one after the other.

    `examinations` is how many these are, for the activations in each.
    """
    frames = [frame for sequence in sequences for frame in sequence]
    consistency = [frame.consistency for frame in frames if not np.isnan(frame.consistency)]
    known = bool(frames) and all(frame.polyps is not None for frame in frames)
    return VideoScore(
        sequences=len(sequences),
        frames=len(frames),
        seconds=sum(float(frame_seconds(_times(sequence)).sum()) for sequence in sequences),
        outlines=sum(len(frame.outlines) for frame in frames),
        outlined=sum(bool(frame.outlines) for frame in frames),
        returns=sum(returns([f.outlines for f in sequence], _times(sequence)) for sequence in sequences),
        consistency=float(np.mean(consistency)) if consistency else None,
        alerts=sum(frame.alert_started for frame in frames),
        false_outlines=sum(int((~frame.meets.any(axis=0)).sum()) for frame in frames) if known else None,
        polyps=_polyp_score(sequences) if known and any(frame.polyps for frame in frames) else None,
        polyp_free=_free_score(sequences, examinations)
        if known and any(not frame.polyps for frame in frames)
        else None,
    )


def to_dict(score: VideoScore) -> dict[str, Any]:
    """Everything in it and the rates that follow, ready for JSON; floats to four decimals."""
    content = dataclasses.asdict(score)
    content["returns_per_minute"] = score.returns_per_minute
    if score.polyps is not None:
        content["polyps"]["sensitivity"] = score.polyps.sensitivity
        content["polyps"]["sensitivity_per_polyp"] = score.polyps.sensitivity_per_polyp
        for name in ("first_outline_ms", "first_alert_ms"):
            if delays := getattr(score.polyps, name):
                content["polyps"][f"{name}_median"] = percentile(delays, 50)
    return {key: _rounded(value) for key, value in content.items()}


def appearances(sequence: Sequence[Observation]) -> list[Appearance]:
    """The polyps of the truth, each followed from the frame in which it comes into view to the last."""
    times = _times(sequence)
    shown = frame_seconds(times)
    result = []
    for chain in chains([frame.polyps or () for frame in sequence]):
        span = slice(chain.start, chain.stop)
        found = np.array(
            [bool(f.meets[polyp].any()) for f, polyp in zip(sequence[span], chain.members, strict=True)]
        )
        alerted = found & np.array([frame.alert for frame in sequence[span]])
        result.append(Appearance(times[span], float(shown[span].sum()), found, alerted))
    return result


def _polyp_score(sequences: Sequences) -> PolypScore:
    seen = [appearance for sequence in sequences for appearance in appearances(sequence)]
    outline = [appearance.first_outline_ms for appearance in seen]
    alert = [appearance.first_alert_ms for appearance in seen]
    dices = [f.dice for sequence in sequences for f in sequence if f.polyps and not np.isnan(f.dice)]
    seconds = sum(appearance.seconds for appearance in seen)
    return PolypScore(
        annotated=sum(len(appearance.found) for appearance in seen),
        found=sum(int(appearance.found.sum()) for appearance in seen),
        appearances=len(seen),
        seconds=seconds,
        flicker_per_second=flicker_rate(seen) if seconds else None,
        missed=outline.count(None),
        per_polyp=clopper_pearson(len(seen) - outline.count(None), len(seen)),
        first_outline_ms=tuple(delay for delay in outline if delay is not None),
        unalerted=alert.count(None),
        first_alert_ms=tuple(delay for delay in alert if delay is not None),
        dice=float(np.mean(dices)) if dices else None,
    )


def _free_score(sequences: Sequences, examinations: int | None) -> PolypFreeScore:
    free = [frame for sequence in sequences for frame in sequence if not frame.polyps]
    seconds = sum(
        float(frame_seconds(_times(sequence))[[not frame.polyps for frame in sequence]].sum())
        for sequence in sequences
    )

    def stayed(minimum_seconds: float, minimum_frames: int) -> Activations:
        minutes = seconds / 60
        count = sum(
            activations(
                [() if f.polyps else f.outlines for f in sequence],
                _times(sequence),
                minimum_seconds,
                minimum_frames=minimum_frames,
            )
            for sequence in sequences
        )
        low, high = poisson_interval(count)
        rate = Interval(low / minutes, high / minutes)
        each = None if examinations is None else count / examinations
        return Activations(minimum_seconds, count, count / minutes, rate, minimum_frames, each)

    return PolypFreeScore(
        frames=len(free),
        seconds=seconds,
        outlined=sum(bool(frame.outlines) for frame in free),
        area=float(np.mean([frame.area for frame in free])),
        activations=tuple(stayed(shortest, 1) for shortest in ACTIVATION_SECONDS) if seconds else (),
        activations_by_frames=tuple(stayed(0.0, fewest) for fewest in ACTIVATION_FRAMES) if seconds else (),
    )


def _times(sequence: Sequence[Observation]) -> NDArray[np.float64]:
    return np.array([frame.pts_seconds for frame in sequence])


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    return [_rounded(entry) for entry in value] if isinstance(value, (list, tuple)) else value
