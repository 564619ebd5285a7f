"""Outlines between the pixels: from a region's border to a smooth polygon, and back to pixels."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["fill_polygon", "smooth_outline", "trace_outline"]

SHORT = 12  # vertices: an outline around two or three pixels

# The eight neighbours of a pixel in the order in which cv2.findContours walks: right, upper right, up, …
STEPS = np.array([(1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1)])
DIRECTION = np.full((3, 3), -1)  # of a step, by [dy + 1, dx + 1]
DIRECTION[STEPS[:, 1] + 1, STEPS[:, 0] + 1] = np.arange(8)
AROUND = (0, 2, 4, 6)  # directions of the four direct neighbours


def _turns() -> NDArray[np.int8]:
    """`(8, 8, 4)`: the direct neighbours that lie outside at a border pixel, in order; the rest is -1.

    The border comes to the pixel in the first direction and leaves it in the second. Where it goes back as it
    came, at the tip of a line, all seven other neighbours lie outside.
    """
    table = np.full((8, 8, 4), -1, np.int8)
    for came, leaves in np.ndindex(8, 8):
        start = came + 4  # towards the pixel that it came from
        passed = [(start + turn) % 8 for turn in range(1, 1 + (leaves - start - 1) % 8)]
        direct = [direction for direction in passed if direction in AROUND]
        table[came, leaves, : len(direct)] = direct
    return table


TURNS = _turns()


def trace_outline(border: NDArray[np.int32], field: NDArray[np.int16], level: float) -> NDArray[np.float32]:
    """The closed line around a region on which the linearly interpolated `field` equals `level`.

    Takes `border: (K, 2) int32`, the region's outer border pixels x, y as cv2.findContours gives them with
    CHAIN_APPROX_NONE, and `field: (H, W) int16`, above `level` inside the region and below it in the
    pixels around, which must lie within the array. Returns `(M, 2) float32` x, y in edge coordinates (the
    centre of pixel n is at n + 0.5), in order, without repeating the first point.

    These are the vertices of marching squares (Lorensen and Cline, 1987) with joined saddles, but the border
    following has already put them in order: turning about a border pixel from its predecessor to its
    successor passes outer pixels only, and each of the four direct ones among them gives a vertex.
    """
    if len(border) == 1:
        turned = np.array([AROUND])
    else:
        closed = np.concatenate([border[-1:], border, border[:1]])
        steps = closed[1:] - closed[:-1]
        walked = DIRECTION[steps[:, 1] + 1, steps[:, 0] + 1]
        turned = TURNS[walked[:-1], walked[1:]]
    which, column = np.nonzero(turned >= 0)
    inner = border[which]
    step = STEPS[turned[which, column]]
    outer = inner + step
    a = field[inner[:, 1], inner[:, 0]]
    b = field[outer[:, 1], outer[:, 0]]
    t = (a - level) / (a - b)
    return np.asarray(inner + 0.5 + step * t[:, np.newaxis], np.float32)


def smooth_outline(outline: NDArray[np.float32], tolerance: float) -> NDArray[np.float32]:
    """Smooth a closed outline `(K, 2) float32` by the binomial filter 1 4 6 4 1 and thin it out.

    The filter removes the stairs that a saturated probability leaves; the thinned line stays within
    `tolerance` of the smoothed one (Douglas and Peucker, 1973). Outlines of a few vertices, which the filter
    would shrink to a dot, are returned as they are.
    """
    if len(outline) < SHORT:
        return outline
    smoothed = outline
    for _ in range(2):  # 1 2 1 twice
        closed = np.concatenate([smoothed[-1:], smoothed, smoothed[:1]])
        smoothed = 0.25 * (closed[:-2] + closed[2:]) + 0.5 * smoothed
    thinned = cv2.approxPolyDP(smoothed[:, np.newaxis], tolerance, closed=True)
    return np.asarray(thinned[:, 0], np.float32)


def fill_polygon(polygon: NDArray[np.floating[Any]], mask: NDArray[np.bool_]) -> None:
    """Set `mask: (H, W) bool` where a pixel's centre lies inside `polygon: (K, 2)` x, y.

    Even-odd rule in edge coordinates. cv2.fillPoly also fills every pixel that the line touches, which
    adds half the perimeter to the area.
    """
    height, width = mask.shape
    points = polygon.astype(np.float64) - 0.5  # now the centre of pixel n is at n
    ends = np.roll(points, -1, axis=0)
    upper, lower = np.where(
        (points[:, 1] <= ends[:, 1])[:, np.newaxis, np.newaxis],
        np.stack([points, ends], 1),
        np.stack([ends, points], 1),
    ).transpose(1, 0, 2)
    first = np.clip(np.ceil(upper[:, 1]), 0, height).astype(np.int64)
    last = np.clip(np.ceil(lower[:, 1]), 0, height).astype(np.int64)  # exclusive
    lines = last - first
    side = np.repeat(np.arange(len(points)), lines)  # one entry for each row that a side crosses
    row = np.arange(len(side)) - np.repeat(np.cumsum(lines) - lines, lines) + first[side]
    slope = (lower[side, 0] - upper[side, 0]) / (lower[side, 1] - upper[side, 1])
    column = np.ceil(upper[side, 0] + (row - upper[side, 1]) * slope)
    column = np.clip(column, 0, width).astype(np.int64)
    if not len(row):
        return
    y0, y1, x0, x1 = row.min(), row.max() + 1, column.min(), column.max()
    toggles = np.zeros((y1 - y0, x1 - x0 + 1), np.uint8)
    np.add.at(toggles, (row - y0, column - x0), 1)
    mask[y0:y1, x0:x1] |= (np.bitwise_xor.accumulate(toggles & 1, axis=1) == 1)[:, :-1]
