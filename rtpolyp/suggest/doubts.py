"""Doubts: two networks that differ on a frame, and a polyp that blinks, jumps or is only just one."""

from collections import deque
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import Rect, View
from rtpolyp.imaging.postprocess import find_polyps, rasterise
from rtpolyp.settings import Settings

__all__ = ["BLINK_SECONDS", "LEAST", "Doubt", "DoubtWatch"]

Doubt: TypeAlias = Literal["disagreement", "blink", "jump", "borderline"]

LEAST = 0.5  # of a doubt that is a reason to label a frame: two outlines whose IoU is 0.5, say
BLINK_SECONDS = 0.5  # within which a polyp that vanishes and returns is taken for the same
NEAR = 0.1  # of mean probability: how far from the operating point a polyp is beyond doubt
GRID = 256  # cells along each side of the endoscope's picture in which outlines are compared


class _Region(NamedTuple):
    cells: NDArray[np.bool_]  # (GRID, GRID)
    confidence: float


@dataclass(frozen=True, eq=False)
class _Seen:
    """One frame, as the first network sees it."""

    seconds: float
    regions: list[_Region]
    cells: NDArray[np.bool_]  # (GRID, GRID): all regions
    doubts: dict[Doubt, float]


class DoubtWatch:
    """Says of each frame of one stream how much it is in doubt, and why.

    Every frame is judged as the networks see it alone, without smoothing, which would hide what is looked
    for. Memory holds BLINK_SECONDS of outlines.
    """

    def __init__(self, first: Settings, second: Settings) -> None:
        """`first` and `second` are the operating points of the two networks."""
        self._first, self._second = first, second
        self._past: deque[_Seen] = deque()

    def __call__(
        self, first: NDArray[np.uint8], second: NDArray[np.uint8], seconds: float
    ) -> dict[Doubt, float]:
        """The doubts, each above 0 and up to 1, of the frame at `seconds`.

        `first` and `second` are the networks' probabilities `(h, w) uint8` (255 = polyp) of the same part of
        the frame. A polyp that returns within BLINK_SECONDS adds "blink" to the frames without it: until then
        the dictionary may change.
        """
        anyhow = _regions(first, replace(self._first, minimum_confidence=0.0))
        regions = [one for one in anyhow if one.confidence >= self._first.minimum_confidence]
        cells = _joined(regions)
        point = max(self._first.threshold, self._first.minimum_confidence)
        span = max(1 - point, NEAR)
        while self._past and seconds - self._past[0].seconds > BLINK_SECONDS:
            self._past.popleft()
        found: dict[Doubt, float] = {
            "disagreement": 1 - _iou(cells, _joined(_regions(second, self._second))),
            "borderline": max((1 - abs(one.confidence - point) / NEAR for one in anyhow), default=0.0),
            "jump": max((self._jump(one, span) for one in regions), default=0.0),
        }
        doubts = {name: value for name, value in found.items() if value > 0}
        for one in regions:
            self._mark_blink(one)
        self._past.append(_Seen(seconds, regions, cells, doubts))
        return doubts

    def _jump(self, region: _Region, span: float) -> float:
        """How much the region differs from the one that it goes on with, in place, area or confidence."""
        before = self._past[-1].regions if self._past else []
        pairs = [(_iou(region.cells, one.cells), one.confidence) for one in before]
        iou, confidence = max(pairs, default=(0.0, 0.0))
        if not iou:
            return 0.0
        return min(1.0, max(1 - iou, abs(region.confidence - confidence) / span))

    def _mark_blink(self, region: _Region) -> None:
        """Where the region comes back to a place, all frames since it left are in doubt."""
        away: list[_Seen] = []
        for seen in reversed(self._past):
            if (seen.cells & region.cells).any():
                break
            away.append(seen)
        else:
            return
        for seen in away:
            seen.doubts["blink"] = max(seen.doubts.get("blink", 0.0), region.confidence)


def _regions(probability: NDArray[np.uint8], settings: Settings) -> list[_Region]:
    height, width = probability.shape
    view = View(GRID, GRID, Rect(0, 0, GRID, GRID), width, height)
    polyps = find_polyps(probability, view, settings)
    return [_Region(rasterise((one,), (GRID, GRID)) > 0, one.confidence) for one in polyps]


def _joined(regions: list[_Region]) -> NDArray[np.bool_]:
    joined = np.zeros((GRID, GRID), np.bool_)
    for region in regions:
        joined |= region.cells
    return joined


def _iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union; 1 where both are empty."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0
