"""Marks: whether what is drawn stands where and when the results say."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.overlay import Planes, cut, draw_overlay, touched
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.report.lines import FoundPolyp
from rtpolyp.settings import Settings
from rtpolyp.verify.figure import Figure, figure
from rtpolyp.verify.matching import Match
from rtpolyp.video.frame import Frame
from rtpolyp.video.planes import plane_view

__all__ = ["Found", "Marks", "as_polyps", "marked_places", "planes_of"]

Found = Mapping[int, tuple[Polyp, ...]]  # polyps by the index of their frame
LAGS = range(8)  # frames that marks may lie behind their picture
SHIFTS = [(x, y) for x in range(-2, 3) for y in range(-2, 3)]  # pixels across and down
MOST = 60  # frames with marks that are looked at, each with one drawing a lag and one a shift


def as_polyps(found: Sequence[FoundPolyp], size: tuple[int, int]) -> tuple[Polyp, ...]:
    """The polyps of a line of results, as the overlay takes them."""
    polyps = []
    for one in found:
        x0, y0 = np.floor(one.contour.min(axis=0)).astype(int)
        x1, y1 = np.ceil(one.contour.max(axis=0)).astype(int)
        box = Rect(int(x0), int(y0), int(x1 - x0), int(y1 - y0))
        polyps.append(Polyp(box, one.area, one.confidence, one.contour, one.track, frame_size=size))
    return tuple(polyps)


def marked_places(polyps: Sequence[Polyp], size: tuple[int, int]) -> list[Rect]:
    """What drawing these polyps may change in a frame of `size` = (width, height)."""
    return [touched(polyp.box, *size) for polyp in polyps]


def planes_of(frame: Frame) -> Planes:
    """Views of a frame's planes, not to be written to."""
    y, u, v = (plane_view(frame.native, index) for index in range(3))
    return y, u, v


class Marks:
    """Explains what is drawn on each frame by outlines of that frame, of earlier ones, and shifted ones."""

    def __init__(self, found: Found, settings: Settings) -> None:
        self._found, self._settings = found, settings
        self._lags = np.zeros(len(LAGS))  # squared difference of luma, over all frames
        self._shifts = np.zeros(len(SHIFTS))
        self._frames = 0

    def add(self, match: Match) -> None:
        """Take in a frame of the recording and the one of the clip that it shows."""
        index = match.original.index
        outlines = [self._found.get(index - lag, ()) for lag in LAGS]
        if self._frames >= MOST or not any(outlines) or not self._settings.overlay:
            return
        self._frames += 1
        # Where any of these frames has marks: what is missing counts as much as what is extra.
        places = [place for polyps in outlines for place in marked_places(polyps, match.original.size)]
        self._lags += [self._unlike(match, polyps, (0, 0), places) for polyps in outlines]
        self._shifts += [self._unlike(match, outlines[0], shift, places) for shift in SHIFTS]

    def figures(self, frame_seconds: float) -> list[Figure]:
        """The lag and the offset, over all frames."""
        if not self._frames:
            sample = "no frame with outlines" if self._settings.overlay else "the overlay was off"
            return [figure(name, None, sample) for name in ("mark_lag", "mark_lag_ms", "mark_offset")]
        lag = int(np.argmin(self._lags))
        x, y = SHIFTS[int(np.argmin(self._shifts))]
        sample = f"{self._frames} frames with outlines"
        offset = figure("mark_offset", max(abs(x), abs(y)), sample)
        if lag:
            offset = figure(
                "mark_offset", None, "marks that are not their frame's have no place of their own"
            )
        return [
            figure("mark_lag", lag, sample),
            figure("mark_lag_ms", 1000 * lag * frame_seconds, sample),
            offset,
        ]

    def _unlike(
        self, match: Match, polyps: Sequence[Polyp], shift: tuple[int, int], places: Sequence[Rect]
    ) -> float:
        """Squared difference of the recorded luma from one with these polyps drawn, where any are."""
        drawn, planes = match.original.writable()
        moved = [_moved(polyp, shift) for polyp in polyps]
        draw_overlay(planes, moved, self._settings, full_range=drawn.full_range)
        recorded = planes_of(match.recorded)
        total = 0.0
        for place in places:
            luma, expected = (cut(one, place)[0] for one in (recorded, planes))
            total += float(cv2.norm(luma, expected, cv2.NORM_L2SQR))
        return total


def _moved(polyp: Polyp, shift: tuple[int, int]) -> Polyp:
    box = Rect(polyp.box.x + shift[0], polyp.box.y + shift[1], polyp.box.width, polyp.box.height)
    contour = polyp.contour + np.array(shift, np.float32)
    return Polyp(box, polyp.area, polyp.confidence, contour, polyp.track, frame_size=polyp.frame_size)
