"""Masks that can be read, but hardly mean what they say: inverted ones, and outlines that were not filled."""

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["DOUBTS", "doubts_of"]

COVERED = 0.9  # share of the picture, or of its rim, from which a mask may be inverted
HOLLOW = 2.0  # a mask encloses this many times its own area where only the outline was drawn

DOUBTS = {
    "inverted": "cover nearly all of the picture or of its rim, inverted?",
    "outline": "enclose far more than they cover, outlines that were not filled?",
}


def doubts_of(polyp: NDArray[np.bool_]) -> tuple[str, ...]:
    """The keys of DOUBTS that hold for a mask `(H, W) bool`."""
    area = int(np.count_nonzero(polyp))
    if not area:
        return ()
    rim = np.concatenate([polyp[0], polyp[-1], polyp[:, 0], polyp[:, -1]])
    if area > COVERED * polyp.size or rim.mean() > COVERED:
        return ("inverted",)
    contours, _ = cv2.findContours(polyp.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros(polyp.shape, np.uint8), contours, -1, 1, cv2.FILLED)
    return ("outline",) if np.count_nonzero(filled) > HOLLOW * area else ()
