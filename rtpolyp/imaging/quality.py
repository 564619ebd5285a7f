"""Is a frame worth an alert: clear, blurred, outside the body, or frozen."""

import math
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import Rect

__all__ = ["FrameQuality", "Quality", "judge"]

Quality: TypeAlias = Literal["clear", "blurred", "outside", "frozen"]

GRID = 160  # cells along the longer side
SHARPNESS = 4.0  # variance of the Laplacian of the cells' luma; less is blurred
REDNESS = 6.0  # mean V over neutral 128; less is outside the body
STILL = 0.05  # mean absolute difference of two frames' cells; less is the same picture
FROZEN_MS = 500.0  # that the picture must be the same to count as frozen
CHANGE_MS = 200.0  # that a frame's quality must last to take the place of the one before


def judge(
    luma: NDArray[np.uint8], u: NDArray[np.uint8], v: NDArray[np.uint8]
) -> Literal["clear", "blurred", "outside"]:
    """Judge one frame alone by its planes `(H, W) uint8` and `(H/2, W/2) uint8`, cut to the picture."""
    cells = _cells(luma)
    if float(_cells(v).mean()) - 128 < REDNESS:
        return "outside"
    if float(cv2.Laplacian(cells, cv2.CV_32F).var()) < SHARPNESS:
        return "blurred"
    return "clear"


class FrameQuality:
    """Judges the frames of one stream; a change must last CHANGE_MS, a still picture FROZEN_MS."""

    def __init__(self) -> None:
        self._previous: NDArray[np.uint8] | None = None
        self._quality: Quality = "clear"
        self._pts_seconds = self._agreed_seconds = self._moved_seconds = -math.inf

    def __call__(
        self,
        luma: NDArray[np.uint8],
        u: NDArray[np.uint8],
        v: NDArray[np.uint8],
        pts_seconds: float,
        picture: Rect,
    ) -> Quality:
        """Judge the frame at `pts_seconds`: its planes, and the endoscope's picture in luma pixels."""
        if pts_seconds <= self._pts_seconds:
            self.reset()
        self._pts_seconds = pts_seconds
        x, y, width, height = picture.x, picture.y, picture.width, picture.height
        luma = luma[y : y + height, x : x + width]
        half = np.s_[y // 2 : (y + height) // 2, x // 2 : (x + width) // 2]
        cells = _cells(luma)
        if self._previous is None or cv2.norm(cells, self._previous, cv2.NORM_L1) > STILL * cells.size:
            self._moved_seconds = pts_seconds
        self._previous = cells
        if 1000 * (pts_seconds - self._moved_seconds) >= FROZEN_MS:
            return "frozen"
        seen = judge(luma, u[half], v[half])
        if seen == self._quality:
            self._agreed_seconds = pts_seconds
        elif 1000 * (pts_seconds - self._agreed_seconds) >= CHANGE_MS:
            self._quality, self._agreed_seconds = seen, pts_seconds
        return self._quality

    def reset(self) -> None:
        """Forget the past, as at a cut between two sequences."""
        self._previous, self._quality = None, "clear"
        self._pts_seconds = self._agreed_seconds = self._moved_seconds = -math.inf


def _cells(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The plane's mean in cells of a grid of at most GRID along the longer side."""
    height, width = plane.shape
    scale = min(1.0, GRID / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)
