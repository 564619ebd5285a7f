"""The black box that a recorder paints over an endoscope's position display, in the lower left of a frame."""

import numpy as np

__all__ = ["find_box"]

BLACK = 12  # of 255: no channel of a pixel of the box lies above, JPEG noise included
SURE = (slice(0.06, 0.22), slice(0.78, 0.92))  # x and y, shares of the frame: all boxes cover this


def find_box(image: np.ndarray) -> tuple[float, float] | None:
    """Right and upper edge of the black box, as shares of the frame; None where there is none.

    `image: (H, W, 3) uint8`, a whole frame.
    """
    black = image.max(axis=2) <= BLACK
    height, width = black.shape
    x, y = (
        slice(round(part.start * side), round(part.stop * side))
        for part, side in zip(SURE, (width, height), strict=True)
    )
    if black[y, x].mean() < 0.97:
        return None
    is_column, is_row = black[y].mean(axis=0) > 0.9, black[:, x].mean(axis=1) > 0.9
    right = next((at for at in range(x.stop, width) if not is_column[at]), width)
    top = next((at + 1 for at in range(y.start, -1, -1) if not is_row[at]), 0)
    return (right / width, top / height) if right < width / 2 and top > height / 2 else None  # else all dark
