"""Sightings: the polyps of a run, each from its first outline to its last."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtpolyp.report.lines import FoundPolyp, Line

__all__ = ["BRIEF_SECONDS", "Best", "Sighting", "SightingCollector"]

BRIEF_SECONDS = 0.2  # outlined for less than a live session's alerts need
GAP_SECONDS = 0.4  # without an outline, after which what has no track is a new sighting


@dataclass(frozen=True)
class Best:
    """The frame that shows a sighting best: where the polyp is large and the network sure."""

    name: str  # the frame's
    pts_seconds: float
    confidence: float
    contour: NDArray[np.float32]  # (n, 2) edge coordinates, frame pixels
    weight: float  # area × confidence


@dataclass
class Sighting:
    """One polyp, as long as its track lasts; of images, one frame that shows polyps."""

    number: int  # 1, 2, 3 … in order of the first outline
    first_seconds: float
    last_seconds: float
    best: Best
    frames: int = 0
    confidence: float = 0.0  # the highest
    area: float = 0.0  # the largest, pixels

    @property
    def seconds(self) -> float:
        """The time from the first outline to the last."""
        return self.last_seconds - self.first_seconds

    @property
    def is_brief(self) -> bool:
        """Whether it was too short for an alert."""
        return self.seconds < BRIEF_SECONDS


class SightingCollector:
    """Takes a run's lines in order; `sightings` are those so far."""

    def __init__(self, *, is_stream: bool) -> None:
        self.sightings: list[Sighting] = []
        self._is_stream = is_stream
        self._open: dict[int | None, Sighting] = {}  # by track

    def add(self, line: Line) -> None:
        """Take in one frame's polyps."""
        for track, polyps in _by_track(line.polyps).items():
            largest = max(polyps, key=lambda polyp: polyp.area)
            sighting = self._open.get(track)
            if sighting is None or self._is_over(sighting, track, line):
                best = _best(line, largest)
                number = len(self.sightings) + 1
                sighting = Sighting(number, line.pts_seconds, line.pts_seconds, best)
                self.sightings.append(sighting)
                self._open[track] = sighting
            _extend(sighting, line, largest)

    def _is_over(self, sighting: Sighting, track: int | None, line: Line) -> bool:
        if not self._is_stream:
            return True
        return track is None and line.pts_seconds - sighting.last_seconds > GAP_SECONDS


def _by_track(polyps: Sequence[FoundPolyp]) -> dict[int | None, list[FoundPolyp]]:
    found: dict[int | None, list[FoundPolyp]] = {}
    for polyp in polyps:
        found.setdefault(polyp.track, []).append(polyp)
    return found


def _best(line: Line, polyp: FoundPolyp) -> Best:
    weight = polyp.area * polyp.confidence
    return Best(line.name, line.pts_seconds, polyp.confidence, polyp.contour, weight)


def _extend(sighting: Sighting, line: Line, polyp: FoundPolyp) -> None:
    sighting.last_seconds = line.pts_seconds
    sighting.frames += 1
    sighting.confidence = max(sighting.confidence, polyp.confidence)
    sighting.area = max(sighting.area, polyp.area)
    if polyp.area * polyp.confidence > sighting.best.weight:
        sighting.best = _best(line, polyp)
