"""Where tracked polyps have left the picture, for an arrow that points after them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.polyp import Polyp

__all__ = ["Departures"]

SEEN_SECONDS = 0.2  # a polyp outlined for less raises no alert either, and gets no arrow
GONE_SECONDS = 0.2  # a polyp that comes back sooner flickers, and gets none
POINTED_SECONDS = 2.0  # after the last outline; by then the endoscope has moved on
EDGE = 0.88  # of the way from the picture's centre to its edge: an outline that reached there has left
CORNER = 1.55  # an octagon's cut corners, as x + y where the rectangle's sides are at 1; the phantom's


@dataclass
class _Track:
    first_seconds: float  # pts of the first outline
    seen_seconds: float  # pts of the last one
    exit: tuple[float, float] | None = None  # frame pixels on the edge it reached; None away from the edge


class Departures:
    """Remembers where each track was last outlined. One instance serves one stream from one thread."""

    def __init__(self) -> None:
        self._tracks: dict[int, _Track] = {}

    def __call__(
        self, polyps: Iterable[Polyp], pts_seconds: float, picture: Rect
    ) -> tuple[tuple[float, float], ...]:
        """Take in a frame's polyps; the points x, y (frame pixels) of the picture's edge to point out at.

        A track has left where its last outline reached the edge. The same frame may be given again; a
        timestamp that goes back starts anew.
        """
        if any(pts_seconds < track.seen_seconds for track in self._tracks.values()):
            self._tracks = {}
        for polyp in polyps:
            if polyp.track is not None:
                track = self._tracks.setdefault(polyp.track, _Track(pts_seconds, pts_seconds))
                track.seen_seconds, track.exit = pts_seconds, _exit(polyp.contour, picture)
        self._tracks = {
            number: track
            for number, track in self._tracks.items()
            if pts_seconds - track.seen_seconds <= POINTED_SECONDS
        }
        return tuple(
            track.exit
            for track in self._tracks.values()
            if track.exit is not None
            and pts_seconds - track.seen_seconds >= GONE_SECONDS
            and track.seen_seconds - track.first_seconds >= SEEN_SECONDS
        )


def _exit(contour: NDArray[np.float32], picture: Rect) -> tuple[float, float] | None:
    """The point of an octagonal picture's edge that the contour reaches; None where it stays away."""
    half = np.array((picture.width / 2, picture.height / 2))
    centre = np.array((picture.x, picture.y)) + half
    points = (contour - centre) / half
    reach = _reach(points)
    if reach.max() < EDGE:
        return None
    outermost = points[reach > reach.max() - 0.05].mean(axis=0)
    x, y = centre + half * outermost / _reach(outermost)
    return float(x), float(y)


def _reach(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far points (…, 2) lie out, 1 at the octagon's edge."""
    across = np.abs(points)
    return np.asarray(np.maximum(across.max(axis=-1), across.sum(axis=-1) / CORNER), np.float64)
