"""Draw polyps on a BGR picture, and change nothing outside the lines and tints."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.overlay import draw_overlay
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.settings import Settings

__all__ = ["draw_on_bgr"]


def draw_on_bgr(bgr: NDArray[np.uint8], polyps: Sequence[Polyp], settings: Settings) -> NDArray[np.uint8]:
    """A copy of `bgr: (H, W, 3) uint8 BGR` with each polyp drawn as `draw_overlay` draws it.

    The drawing is made on 4:2:0 planes of the picture, as that of a video is; what it changed there is added
    to the picture's own pixels, so that every other pixel stays as it was, bit for bit.
    """
    if not (settings.overlay and polyps):
        return bgr.copy()
    planes = cv2.split(cv2.cvtColor(bgr, cv2.COLOR_BGR2YCrCb))
    luma, red, blue = (np.asarray(plane, np.uint8) for plane in planes)
    half = (luma.shape[1] + 1) // 2, (luma.shape[0] + 1) // 2
    u, v = (
        np.asarray(cv2.resize(plane, half, interpolation=cv2.INTER_AREA), np.uint8) for plane in (blue, red)
    )
    before = luma, u, v
    after = luma.copy(), u.copy(), v.copy()
    draw_overlay(after, polyps, settings, full_range=True)
    changes = [drawn.astype(np.int16) - plane for drawn, plane in zip(after, before, strict=True)]
    y, cb, cr = (_at_size(change, luma.shape) for change in changes)
    moved = np.stack([luma + y, red + cr, blue + cb], axis=-1)
    drawn = cv2.cvtColor(np.clip(moved, 0, 255).astype(np.uint8), cv2.COLOR_YCrCb2BGR)
    touched = (y != 0) | (cb != 0) | (cr != 0)
    return np.where(touched[..., np.newaxis], drawn, bgr)


def _at_size(change: NDArray[np.int16], shape: tuple[int, ...]) -> NDArray[np.int16]:
    """A plane's changes on the luma grid: each chroma sample stands for two by two pixels."""
    if change.shape == shape:
        return change
    return change.repeat(2, axis=0).repeat(2, axis=1)[: shape[0], : shape[1]]
