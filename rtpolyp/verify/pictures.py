"""Pictures and Timing: what became of the pixels outside the marks, and of the frames' number and times."""

import math
from collections.abc import Sequence

import numpy as np

from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.overlay import cut
from rtpolyp.verify.figure import Figure, figure
from rtpolyp.verify.marks import Found, marked_places, planes_of
from rtpolyp.verify.matching import Match
from rtpolyp.video.frame import Frame
from rtpolyp.video.similarity import MEASURES, Similarity

__all__ = ["Pictures", "Timing"]

EVERY = {"psnr": 1, "ssim": 4, "vif": 60}  # frames from one measured to the next: vif takes half a second
COLOURS_EVERY = 10
SAME_PSNR = 100.0  # decibels that stand for equal planes in a mean


class Pictures:
    """Measures recorded pictures against the clip's, with the marks' places filled from the clip."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self._values: dict[str, list[float]] = {name: [] for name in MEASURES}
        self._errors: list[float] = []
        self._tags = 0
        self._measures: dict[str, Similarity] = {}
        self._frames = 0

    def add(self, match: Match) -> None:
        """Take in a frame of the recording and the one of the clip that it shows."""
        recorded, original = match
        if not self._frames:
            pairs = zip(_tags(recorded), _tags(original), strict=True)
            self._tags = sum(ours != theirs for ours, theirs in pairs)
        self._frames += 1
        if recorded.size != original.size:
            return
        clean = _filled(match, marked_places(self._found.get(original.index, ()), original.size))
        if self._frames % COLOURS_EVERY == 1:
            means = clean.to_bgr().mean(axis=(0, 1)) - original.to_bgr().mean(axis=(0, 1))
            self._errors.append(float(np.abs(means).max()))
        if recorded.native.format.name != original.native.format.name:
            return
        reference = original.writable()[0]  # whose time may be set
        reference.native.pts, reference.native.time_base = clean.native.pts, clean.native.time_base
        for name, every in EVERY.items():
            if self._frames % every == 1 or every == 1:
                if name not in self._measures:
                    self._measures[name] = Similarity(clean.native, name)
                value = self._measures[name](clean.native, reference.native)
                self._values[name].append(min(value, SAME_PSNR) if math.isinf(value) else value)

    def figures(self) -> list[Figure]:
        """The means, the colours' largest error, and the tags."""
        found = [
            figure(name, float(np.mean(values)), f"{len(values)} frames")
            if values
            else figure(name, None, "the recording has another size or pixel format")
            for name, values in self._values.items()
        ]
        colour = max(self._errors) if self._errors else None
        sample = f"{len(self._errors)} frames" if self._errors else "the recording has another size"
        tags = figure("colour_tags", self._tags if self._frames else None, "the first frame")
        return [*found, figure("colour_error", colour, sample), tags]


class Timing:
    """Counts what is missing and shown twice, and compares times."""

    def __init__(self, start_seconds: float) -> None:
        """`start_seconds` is when the recording's first frame is shown on its own clock."""
        self._start = start_seconds
        self._seen: list[int] = []  # of the clip's frames, in the recording's order
        self._times: list[tuple[float, float]] = []  # seconds, recorded and in the clip, of each shown once

    def add(self, match: Match) -> None:
        """Take in a frame of the recording and the one of the clip that it shows."""
        is_first_time = not self._seen or self._seen[-1] != match.original.index
        self._seen.append(match.original.index)
        if is_first_time:
            self._times.append((self._start + match.recorded.pts_seconds, match.original.pts_seconds))

    def figures(self, frames: int) -> list[Figure]:
        """`frames` is how many the clip has."""
        shown = len(set(self._seen))
        sample = f"{len(self._seen)} recorded of {frames} frames"
        return [
            figure("dropped", frames - shown, sample),
            figure("repeated", len(self._seen) - shown, sample),
            *self._of_times(sample),
        ]

    def _of_times(self, sample: str) -> list[Figure]:
        if len(self._times) < 2:
            return [figure(name, None, "fewer than two frames") for name in ("timestamp_error", "rate_error")]
        ours, theirs = np.array(self._times).T
        span = theirs - theirs.mean()
        pace = float((span @ ours) / (span @ span))
        return [
            figure("timestamp_error", round(1000 * float(np.abs(ours - theirs).max()), 3), sample),
            figure("rate_error", round(1e6 * abs(1 / pace - 1), 3), sample),
        ]


def _tags(frame: Frame) -> tuple[str, str]:
    return frame.colour.swscale_matrix(frame.size), frame.colour.swscale_range


def _filled(match: Match, places: Sequence[Rect]) -> Frame:
    """A copy of the recorded frame with the clip's own samples in these places."""
    clean, planes = match.recorded.writable()
    for place in places:
        for target, source in zip(cut(planes, place), cut(planes_of(match.original), place), strict=True):
            target[:] = source
    return clean
