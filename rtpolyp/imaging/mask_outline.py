"""From a mask to polygons that give it back: the outlines of its regions, and of the holes in them."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.contour import trace_outline

__all__ = ["Outline", "join_holes", "trace_regions"]

# Pixels that thinning may move an outline. The traced line passes pixel centres at 0.35 pixels or more, so
# no centre changes sides.
TOLERANCE = 0.25


class Outline(NamedTuple):
    """A region's border and the holes in it, each `(K, 2) float32` x, y in edge coordinates, closed."""

    outer: NDArray[np.float32]
    holes: tuple[NDArray[np.float32], ...] = ()


def trace_regions(mask: NDArray[np.bool_]) -> list[Outline]:
    """The outlines of the 8-connected regions of `mask: (H, W) bool`, holes included.

    The pixels whose centre lies inside an outline and in none of its holes are those of the region, exactly.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    outlines = []
    for number, (x, y, width, height, _) in enumerate(stats[1:], 1):
        region = np.pad(labels[y : y + height, x : x + width] == number, 1)
        _, gaps = cv2.connectedComponents((~region).view(np.uint8), connectivity=4)
        inside = sorted(set(np.unique(gaps).tolist()) - {0, int(gaps[0, 0])})
        corner = np.array((x - 1, y - 1), np.float32)
        holes = tuple(_border(gaps == gap) + corner for gap in inside)
        outlines.append(Outline(_border(region) + corner, holes))
    return outlines


def join_holes(outline: Outline) -> NDArray[np.float32]:
    """One polygon `(K, 2) float32` for formats without holes: a slit of no width leads to each of them.

    Filled by the even-odd rule, it covers the outline without its holes.
    """
    polygon, holes = outline.outer, list(outline.holes)
    while holes:
        distances = [np.linalg.norm(polygon[:, np.newaxis] - hole, axis=2) for hole in holes]
        nearest = int(np.argmin([distance.min() for distance in distances]))
        start, end = np.unravel_index(int(distances[nearest].argmin()), distances[nearest].shape)
        hole = np.roll(holes.pop(nearest), -int(end), axis=0)
        polygon = np.concatenate([polygon[: start + 1], hole, hole[:1], polygon[start:]])
    return polygon


def _border(region: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The outer border of an array's only region, which does not touch the array's edge."""
    borders, _ = cv2.findContours(region.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = trace_outline(np.asarray(borders[0][:, 0], np.int32), region.astype(np.int16) * np.int16(2), 1)
    thinned = cv2.approxPolyDP(outline[:, np.newaxis], TOLERANCE, closed=True)[:, 0]
    return np.asarray(thinned, np.float32) if len(thinned) > 2 else outline
