"""Which polyp is which: hysteresis in probability and track ids, on top of temporal smoothing."""

import dataclasses
import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import Rect, View
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.imaging.postprocess import find_polyps
from rtpolyp.settings import Settings
from rtpolyp.tracking.smoothing import TemporalSmoother

__all__ = ["PolypTracker"]

HOLD_THRESHOLD = 0.5  # probability from which a pixel belongs to a polyp whose track has started
DROP_MS = 400.0  # milliseconds without any region after which a track ends
OVERLAP = 0.2  # of the smaller of two boxes; a square that moves by half its size both ways keeps a quarter


@dataclass
class _Track:
    number: int
    box: Rect  # frame pixels, of the last region
    seen_seconds: float  # pts of the last region


class PolypTracker:
    """Smooths one stream's probability maps, outlines polyps with hysteresis, and says which is which.

    A track starts at the operating point, `settings.threshold` and `settings.minimum_confidence`. While it
    lives, the region at HOLD_THRESHOLD and of any confidence that overlaps it is its outline, so that a polyp
    which the network doubts for a moment does not flicker: the two levels of Canny (1986), in time. A region
    keeps the track that overlaps it most; ids start at 1 and are never used twice. A track that splits keeps
    its id in the part most like it, one that merges with another comes back when they part within DROP_MS.

    One instance serves one stream from one thread. Time comes from timestamps alone.
    """

    def __init__(self, smoother: TemporalSmoother | None = None) -> None:
        self._smoother = smoother or TemporalSmoother()
        self._numbers = itertools.count(1)
        self._tracks: list[_Track] = []
        self._pts_seconds = -np.inf

    def __call__(
        self, probability: NDArray[np.uint8], pts_seconds: float, view: View, settings: Settings
    ) -> tuple[NDArray[np.uint8], tuple[Polyp, ...]]:
        """Take in one map `(h, w) uint8` (255 = polyp) of the frame at `pts_seconds`.

        Returns the smoothed map, an array of its own, and the polyps, largest first, each with its track. A
        timestamp that does not advance starts anew.
        """
        if pts_seconds <= self._pts_seconds:
            self.reset()
        self._pts_seconds = pts_seconds
        smoothed = self._smoother(probability, pts_seconds)
        low = dataclasses.replace(
            settings, threshold=min(HOLD_THRESHOLD, settings.threshold), minimum_confidence=0.0
        )
        regions = find_polyps(smoothed, view, low)
        seeds = _holding(regions, find_polyps(smoothed, view, settings)) if regions else set()
        self._tracks = [
            track for track in self._tracks if 1000 * (pts_seconds - track.seen_seconds) <= DROP_MS
        ]
        owners = self._match(regions)
        polyps = []
        for index, region in enumerate(regions):
            track = owners.get(index)
            if track is None:
                if index not in seeds:
                    continue
                track = _Track(next(self._numbers), region.box, pts_seconds)
                self._tracks.append(track)
            track.box, track.seen_seconds = region.box, pts_seconds
            polyps.append(dataclasses.replace(region, track=track.number))
        return smoothed, tuple(polyps)

    def reset(self) -> None:
        """Forget the past, as at a cut between two sequences; ids go on."""
        self._smoother.reset()
        self._tracks = []
        self._pts_seconds = -np.inf

    def _match(self, regions: tuple[Polyp, ...]) -> dict[int, _Track]:
        """Give each region at most one track and each track at most one region, the most alike first."""
        pairs = []
        for index, region in enumerate(regions):
            for track in self._tracks:
                of_smaller, iou = _overlap(region.box, track.box)
                if of_smaller >= OVERLAP:
                    pairs.append((-iou, track.number, index, track))
        owners: dict[int, _Track] = {}
        taken: set[int] = set()
        for _, number, index, track in sorted(pairs, key=lambda pair: pair[:3]):
            if index not in owners and number not in taken:
                owners[index] = track
                taken.add(number)
        return owners


def _holding(regions: tuple[Polyp, ...], seeds: tuple[Polyp, ...]) -> set[int]:
    """Indices of the regions that hold a seed: level sets are nested, so each seed lies in just one."""
    found = set()
    for seed in seeds:
        point = float(seed.contour[0, 0]), float(seed.contour[0, 1])
        depth = [cv2.pointPolygonTest(region.contour, point, True) for region in regions]
        found.add(int(np.argmax(depth)))
    return found


def _overlap(a: Rect, b: Rect) -> tuple[float, float]:
    """What two boxes share: as a fraction of the smaller one, and of their union."""
    width = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    height = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    if width <= 0 or height <= 0:
        return 0.0, 0.0
    common, area_a, area_b = width * height, a.width * a.height, b.width * b.height
    return common / min(area_a, area_b), common / (area_a + area_b - common)
