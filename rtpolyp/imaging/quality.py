"""Is a frame worth an alert: clear, blurred, outside the body, or frozen.

Thresholds were set on the 2,983 frames of the train parts of Kvasir-SEG, CVC-612, PolypGen and NeoPolyp, of
which they call 5 blurred and 8 outside (0.4 %). What has mucosa's colour, as skin, is not told from mucosa.
"""

import math
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import Rect

__all__ = ["FrameQuality", "Quality", "blur_effect", "judge"]

Quality: TypeAlias = Literal["clear", "blurred", "outside", "frozen"]

GRID = 256  # cells along the longer side; noise averages out in them, and the work stays under 1 ms
BOX = 9  # cells of the averaging that blurs once more, as in the paper
BLURRED = 0.535  # blur effect from which a frame is blurred; of good frames the median is 0.29
FLAT = 15.0  # standard deviation of luma under which nothing is seen; the flattest good frame has 22
RED = 1.0  # mean of V over neutral: blood in mucosa absorbs green and blue; a room is grey, a drape blue
# Mean absolute difference of two frames' cells up to which they are the same picture. Codec noise on a frozen
# frame gives 0.03 or less; of CVC-612's steps the smallest is 0.5, of the phantom's 2.4.
STILL = 0.1
FROZEN_MS = 500.0  # that a picture must be the same
CHANGE_MS = 120.0  # that another quality must last; less than an alert's delay, so none slips through


def judge(
    luma: NDArray[np.uint8], u: NDArray[np.uint8], v: NDArray[np.uint8]
) -> Literal["clear", "blurred", "outside"]:
    """Judge one frame alone by its planes `(H, W) uint8` and `(H/2, W/2) uint8`, cut to the picture."""
    return _judge(_cells(luma), v)


def blur_effect(cells: NDArray[np.uint8]) -> float:
    """How little of a picture's contrast another blur takes away: near 0 sharp, 1 blurred or flat.

    Takes `(H, W) uint8`. The no-reference metric of Crété, Dolmière, Ladret and Nicolas, "The blur effect",
    Proc. SPIE 6492, 2007: being a ratio, it depends on sharpness and neither on contrast nor on brightness.
    """
    effects = []
    for plane in (cells, cells.T):
        blurred = cv2.blur(plane, (BOX, 1))
        before = cv2.absdiff(plane[:, 1:], plane[:, :-1])
        after = cv2.absdiff(blurred[:, 1:], blurred[:, :-1])
        total = cv2.sumElems(before)[0]
        lost = cv2.sumElems(cv2.subtract(before, after))[0]  # saturates at 0, as the paper's maximum does
        effects.append(1 - lost / total if total else 1.0)
    return max(effects)


class FrameQuality:
    """Judges the frames of one stream, so that no single frame decides.

    One instance serves one stream from one thread. Time comes from timestamps alone.
    """

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
        """Judge the frame at `pts_seconds`: its planes, and the endoscope's picture in luma pixels.

        A picture is frozen after FROZEN_MS without a change, any other quality is told once it has lasted
        for CHANGE_MS. A timestamp that does not advance starts anew.
        """
        if pts_seconds <= self._pts_seconds:
            self.reset()
        self._pts_seconds = pts_seconds
        x, y, width, height = picture.x, picture.y, picture.width, picture.height
        cells = _cells(luma[y : y + height, x : x + width])
        if not _is_still(self._previous, cells):
            self._moved_seconds = pts_seconds
        self._previous = cells
        if 1000 * (pts_seconds - self._moved_seconds) >= FROZEN_MS:
            return "frozen"
        seen = _judge(cells, v[y // 2 : (y + height) // 2, x // 2 : (x + width) // 2])
        if seen == self._quality:
            self._agreed_seconds = pts_seconds
        elif 1000 * (pts_seconds - self._agreed_seconds) >= CHANGE_MS:
            self._quality, self._agreed_seconds = seen, pts_seconds
        return self._quality

    def reset(self) -> None:
        """Forget the past, as at a cut between two sequences."""
        self._previous, self._quality = None, "clear"
        self._pts_seconds = self._agreed_seconds = self._moved_seconds = -math.inf


def _judge(cells: NDArray[np.uint8], v: NDArray[np.uint8]) -> Literal["clear", "blurred", "outside"]:
    if cv2.mean(v)[0] - 128 < RED:
        return "outside"
    if blur_effect(cells) >= BLURRED or cv2.meanStdDev(cells)[1].item() < FLAT:
        return "blurred"
    return "clear"


def _is_still(before: NDArray[np.uint8] | None, cells: NDArray[np.uint8]) -> bool:
    if before is None or before.shape != cells.shape:
        return False
    return cv2.norm(cells, before, cv2.NORM_L1) <= STILL * cells.size


def _cells(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The plane's mean in cells of a grid of at most GRID along the longer side, from every n-th pixel."""
    step = max(1, max(plane.shape) // (2 * GRID))  # all pixels of 1920x1080 would take 3 ms
    plane = plane[::step, ::step]
    height, width = plane.shape
    scale = min(1.0, GRID / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)
