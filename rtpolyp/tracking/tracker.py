"""Which polyp is which: hysteresis in probability and time, and track ids, on top of temporal smoothing."""

import dataclasses
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import Rect, View
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.imaging.postprocess import find_polyps, threshold_level
from rtpolyp.settings import Settings
from rtpolyp.tracking.smoothing import TIME_CONSTANT_MS, TemporalSmoother

__all__ = ["DOUBT_MS", "DROP_MS", "MEMORY_MS", "PolypTracker"]

# On CVC-612's val part, blurred and noisy as a recording, regions of any confidence gave 0.34 false outlines
# a frame, and those of 0.6 gave 0.25 and met as many polyps.
HOLD_THRESHOLD = 0.5  # probability from which a pixel belongs to a polyp whose track has started
HOLD_CONFIDENCE = 0.6  # mean probability that its region then needs
# On slow pans over the polyp-free stills of PolypGen's val part, 192 s, and with the shipped weights of
# that time, outlines came back within half a second 70 times frame by frame, 36 times with doubt held for
# as long as it lasts and 27 times with this; 729, 1082 and 925 frames of 4800 had an outline. On CVC-612's
# val part, as it is and as a recording, as many polyps were met as without this limit, and with 120 ms
# fewer.
DOUBT_MS = 200.0  # after it was last sure for which a region in doubt still goes on with a track
# On CVC-612's train part, dark, blurred and noisy, outlines were interrupted 20 times frame by frame, 14
# times with hysteresis alone and 8 times with this.
KEEP_MS = 40.0  # without a region for which the last outline stays, smoothing's delay included
DROP_MS = 400.0  # without a region after which a track ends
TOLERANCE_MS = 0.01  # of timestamps in floating point
# After 18 time constants the past weighs less than float32 resolves. What was outlined before that decides
# nothing but ids, and, where several tracks contend for several regions, which of them goes on.
MEMORY_MS = DROP_MS + DOUBT_MS + 18 * TIME_CONSTANT_MS
OUTLINE_PLAY = 0.5  # network pixels by which smoothing may move outlines of the same region apart

# Distances of two boxes in units in which they touch at 1: a box that moves by half its size goes 0.5. Where
# the network is sure, a polyp may jump farther than where it doubts. In CVC-612's train part, whose frames
# are sparser than video, 12 % of the steps are longer than the one and 3 % longer than the other.
HELD_REACH = 0.8
SURE_REACH = 1.5


@dataclass
class _Track:
    polyp: Polyp  # its last outline
    seen_seconds: float  # pts of that
    sure_seconds: float  # pts of its last region at the operating point


class PolypTracker:
    """Smooths one stream's probability maps, outlines polyps with hysteresis, and says which is which.

    A track starts with a region at the operating point, `settings.threshold` and
    `settings.minimum_confidence`. Until DOUBT_MS after the last one, the region at HOLD_THRESHOLD and
    HOLD_CONFIDENCE is its outline, so that a polyp which the network doubts for a moment does not flicker:
    the two levels of Canny (1986), in time. A region goes on with the nearest track in reach. Without any,
    the outline stays where it was for up to KEEP_MS, one frame at 25 or 30 frames/s, and the track ends
    after DROP_MS.

    Ids start at 1 and are never used twice. A track that splits keeps its id in the part nearest to it; of
    two that merge, the nearer one goes on, and the other if they part again within DROP_MS.

    One instance serves one stream from one thread. Time comes from timestamps alone.
    """

    def __init__(self, smoother: TemporalSmoother | None = None) -> None:
        """`smoother` replaces the default one."""
        self._smoother = smoother or TemporalSmoother()
        self._numbers = itertools.count(1)
        self._tracks: dict[int, _Track] = {}
        self._pts_seconds = -math.inf

    def __call__(
        self, probability: NDArray[np.uint8], pts_seconds: float, view: View, settings: Settings
    ) -> tuple[NDArray[np.uint8], tuple[Polyp, ...]]:
        """Take in one map `(h, w) uint8` (255 = polyp) of the frame at `pts_seconds`.

        Returns the smoothed map, an array of its own, and the polyps, largest first, each with its track. A
        timestamp that does not advance starts anew.
        """
        if pts_seconds <= self._pts_seconds:
            self.reset()
        elapsed_ms = 1000 * (pts_seconds - self._pts_seconds)
        self._pts_seconds = pts_seconds
        smoothed = self._smoother(probability, pts_seconds)
        self._tracks = {
            n: t for n, t in self._tracks.items() if self._since_ms(t.seen_seconds) <= DROP_MS + TOLERANCE_MS
        }
        if not self._tracks and smoothed.max() < threshold_level(settings.threshold):
            return smoothed, ()
        regions = _held_regions(smoothed, view, settings)
        sure = _add_sure(regions, _seeds(regions, smoothed, view, settings), view)
        owners = self._match(regions, sure)
        started = {index: next(self._numbers) for index in sorted(sure - owners.keys())}
        for index, number in (owners | started).items():
            polyp = dataclasses.replace(regions[index], track=number)
            sure_seconds = pts_seconds if index in sure else self._tracks[number].sure_seconds
            self._tracks[number] = _Track(polyp, pts_seconds, sure_seconds)
        shown = [track.polyp for track in self._tracks.values() if track.seen_seconds == pts_seconds]
        if not started:  # a polyp that jumped out of reach must not leave its old outline behind
            shown += self._kept(shown, elapsed_ms)
        return smoothed, tuple(sorted(shown, key=lambda polyp: -polyp.area))

    def reset(self) -> None:
        """Forget the past, as at a cut between two sequences; ids go on."""
        self._smoother.reset()
        self._tracks = {}
        self._pts_seconds = -math.inf

    def _since_ms(self, pts_seconds: float) -> float:
        return 1000 * (self._pts_seconds - pts_seconds)

    def _kept(self, shown: list[Polyp], elapsed_ms: float) -> list[Polyp]:
        """Last outlines of tracks that lost their region a moment ago, where no other outline touches."""
        # Smoothing delays an end by whole frames, and by none below 83 frames/s.
        delay_ms = self._smoother.delay_ms - self._smoother.delay_ms % elapsed_ms
        return [
            track.polyp
            for track in self._tracks.values()
            if 0 < self._since_ms(track.seen_seconds) <= KEEP_MS - delay_ms + TOLERANCE_MS
            and all(_distance(track.polyp.box, polyp.box) >= 1 for polyp in shown)
        ]

    def _match(self, regions: list[Polyp], sure: set[int]) -> dict[int, int]:
        """Which region goes on with which track: nearest first, at most one of each."""
        pairs = [
            (distance, number, index)
            for index, region in enumerate(regions)
            for number, track in self._tracks.items()
            if (index in sure or self._since_ms(track.sure_seconds) <= DOUBT_MS + TOLERANCE_MS)
            and (distance := _distance(region.box, track.polyp.box))
            <= (SURE_REACH if index in sure else HELD_REACH)
        ]
        owners: dict[int, int] = {}
        for _, number, index in sorted(pairs):
            if index not in owners and number not in owners.values():
                owners[index] = number
        return owners


def _held_regions(smoothed: NDArray[np.uint8], view: View, settings: Settings) -> list[Polyp]:
    """The regions at the lower point."""
    confidence = min(HOLD_CONFIDENCE, settings.minimum_confidence)
    threshold = min(HOLD_THRESHOLD, settings.threshold)
    low = dataclasses.replace(settings, threshold=threshold, minimum_confidence=confidence)
    return list(find_polyps(smoothed, view, low))


def _seeds(
    regions: list[Polyp], smoothed: NDArray[np.uint8], view: View, settings: Settings
) -> Iterable[Polyp]:
    """The regions at the operating point; where its threshold is the lower one's, they are found already."""
    if settings.threshold <= HOLD_THRESHOLD:
        return [region for region in regions if region.confidence >= settings.minimum_confidence]
    return find_polyps(smoothed, view, settings)


def _add_sure(regions: list[Polyp], seeds: Iterable[Polyp], view: View) -> set[int]:
    """The indices of the regions that start a track: those that hold a seed, a region of the operating point.

    Level sets are nested, so a seed lies in just one; where that is too faint as a whole to count, the seed
    stands for itself and is added to `regions`.
    """
    sure = set()
    for seed in seeds:
        point = float(seed.contour[0, 0]), float(seed.contour[0, 1])
        depths = [cv2.pointPolygonTest(region.contour, point, True) for region in regions]
        if not depths or max(depths) < -OUTLINE_PLAY * max(view.scale):
            depths.append(0.0)
            regions.append(seed)
        sure.add(int(np.argmax(depths)))
    return sure


def _distance(a: Rect, b: Rect) -> float:
    """The boxes' distance in units of half the sum of their sides: below 1 they overlap."""
    x = abs(2 * a.x + a.width - 2 * b.x - b.width) / (a.width + b.width)
    y = abs(2 * a.y + a.height - 2 * b.y - b.height) / (a.height + b.height)
    return max(x, y)
