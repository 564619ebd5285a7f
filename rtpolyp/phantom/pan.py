"""A slow pan over a still picture: a clip whose every frame shows what the still does, and no more."""

from collections.abc import Iterator
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError

__all__ = ["pan"]

ZOOM = 0.7  # of the still's sides that a frame shows
PERIODS = 13.0, 17.0  # seconds of the sway across and down: a path that does not repeat for minutes


def pan(still: NDArray[np.uint8], seconds: float, fps: Fraction | float = 25) -> Iterator[NDArray[np.uint8]]:
    """Move a window over `still: (H, W, 3) uint8 BGR` by fractions of a pixel; yield it `seconds` long.

    The window shows ZOOM of each side, in the still's pixels and with even sides, and sways sinusoidally from
    edge to edge. Frames are rendered as they are asked for. Raises InputError on a still under 64 pixels.
    """
    height, width = still.shape[:2]
    if min(height, width) < 64:
        raise InputError(f"still of {width}x{height} pixels: give one of at least 64x64")
    return _windows(still, round(seconds * fps), float(fps))


def _windows(still: NDArray[np.uint8], count: int, fps: float) -> Iterator[NDArray[np.uint8]]:
    height, width = still.shape[:2]
    size = tuple(2 * round(ZOOM * side / 2) for side in (width, height))
    room = np.array((width - size[0], height - size[1])) / 2
    for index in range(count):
        x, y = room * (1 + np.sin(2 * np.pi * index / fps / np.array(PERIODS)))
        shift = np.array(((1, 0, x), (0, 1, y)))
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        yield np.asarray(
            cv2.warpAffine(still, shift, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8
        )
