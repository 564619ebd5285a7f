"""read_examination: everything that a report says of a run, from its JSON lines."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.report.lines import Header, Line, Summary, read_lines
from rtpolyp.report.sightings import Sighting, SightingCollector

__all__ = ["Examination", "Minute", "examine", "read_examination"]

PROGRESS_FRAMES = 1000  # between two words on progress
MOST_SECONDS = 7 * 86_400.0  # of a run; times beyond are a mistake, and counts a minute must stay few


@dataclass(frozen=True)
class Minute:
    """One minute of a stream."""

    frames: int
    with_polyps: int  # frames
    sightings: int  # that began in it


@dataclass(frozen=True)
class Examination:
    """A run over one stream, or over images, where times are the images' numbers."""

    header: Mapping[str, Any]
    summary: Mapping[str, Any] | None  # None after an interrupted run
    size: tuple[int, int] | None  # (width, height) of the frames; None for images
    seconds: NDArray[np.float64]  # (n,) pts of each frame
    confidence: NDArray[np.float32]  # (n,) of the surest polyp, 0 where there is none
    area: NDArray[np.float32]  # (n,) of all polyps, fraction of the frame; pixels for images
    thresholds: tuple[tuple[float, float], ...]  # (pts_seconds, threshold) at the start and at each change
    sightings: tuple[Sighting, ...]

    @property
    def is_stream(self) -> bool:
        """Whether frames follow each other in time."""
        return self.size is not None

    @property
    def duration_seconds(self) -> float:
        """The time from the first frame to the end of the last."""
        if len(self.seconds) < 2:
            return 0.0
        interval = float(np.median(np.diff(self.seconds)))
        return float(self.seconds[-1] - self.seconds[0]) + interval

    def minutes(self) -> list[Minute]:
        """Counts a minute, from the first frame on."""
        if not len(self.seconds):
            return []
        origin = self.seconds[0]
        index = ((self.seconds - origin) // 60).astype(int)
        frames = np.bincount(index)
        found = np.bincount(index[self.confidence > 0], minlength=len(frames))
        begun = np.bincount(
            [int((one.first_seconds - origin) // 60) for one in self.sightings] or [0], minlength=len(frames)
        )
        if not self.sightings:
            begun[0] = 0
        return [Minute(*(int(count) for count in row)) for row in zip(frames, found, begun, strict=True)]


def read_examination(path: Path, on_progress: Callable[[int, int | None], None] | None = None) -> Examination:
    """Read a run's JSON lines; memory grows by some bytes a frame, and by a contour a sighting.

    Raises InputError for a file that is none, and for one without any frame.
    """
    return examine(read_lines(path), str(path), on_progress)


def examine(
    lines: Iterable[Header | Line | Summary],
    name: str,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> Examination:
    """The examination of a run's lines, as `read_lines` gives them; an InputError begins with `name`."""
    header: Header | None = None
    summary: Summary | None = None
    rows: list[tuple[float, float, float]] = []
    thresholds: list[tuple[float, float]] = []
    collector = SightingCollector(is_stream=True)
    for item in lines:
        if isinstance(item, Header):
            header = item
            collector = SightingCollector(is_stream=item.size is not None)
        elif isinstance(item, Summary):
            summary = item
        else:
            rows.append(_row(item))
            if not thresholds or (item.threshold != thresholds[-1][1] and not math.isnan(item.threshold)):
                thresholds.append((item.pts_seconds, item.threshold))
            collector.add(item)
            if on_progress is not None and len(rows) % PROGRESS_FRAMES == 0:
                on_progress(len(rows), None)
    if header is None or not rows:
        raise InputError(f"{name}: holds no frame; run rtpolyp on the video with --json once more")
    table = np.array(rows, np.float64)
    table = table[np.argsort(table[:, 0], kind="stable")]  # a file of others' need not be in order
    if (span := float(table[-1, 0] - table[0, 0])) > MOST_SECONDS and header.size is not None:
        raise InputError(f"{name}: its times span {span / 86_400:.0f} days; give the JSON lines of one run")
    pixels = 1 if header.size is None else header.size[0] * header.size[1]
    return Examination(
        header=header.fields,
        summary=None if summary is None else summary.fields,
        size=header.size,
        seconds=table[:, 0],
        confidence=table[:, 1].astype(np.float32),
        area=(table[:, 2] / pixels).astype(np.float32),
        thresholds=tuple(thresholds),
        sightings=tuple(collector.sightings),
    )


def _row(line: Line) -> tuple[float, float, float]:
    confidence = max((polyp.confidence for polyp in line.polyps), default=0.0)
    return line.pts_seconds, confidence, sum(polyp.area for polyp in line.polyps)
