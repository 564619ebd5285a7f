"""Polyp: one outlined region, in the pixels of the frame it was found in."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.contour import fill_polygon
from rtpolyp.imaging.geometry import Rect

__all__ = ["Polyp"]


@dataclass(frozen=True, eq=False)
class Polyp:
    """One connected region at or above the threshold.

    Coordinates are pixels of the whole frame, x to the right and y downwards. They are edge coordinates: the
    centre of pixel n lies at n + 0.5.

    >>> polyp = model(image).polyps[0]
    >>> polyp.box
    Rect(x=47, y=95, width=99, height=99)
    >>> polyp.mask.shape, polyp.mask.dtype
    ((288, 384), dtype('bool'))
    """

    box: Rect  # the contour's bounding box, whole pixels
    area: float  # pixels, square; holes inside the contour count
    confidence: float  # mean probability over the region, 0 to 1
    contour: NDArray[np.float32]  # (K, 2) x, y, the closed outer boundary; the first point is not repeated
    track: int | None = None  # the same number in every frame of a stream, from 1; None in a picture alone
    frame_size: tuple[int, int] = field(kw_only=True)  # (width, height) of the frame, pixels

    @property
    def mask(self) -> NDArray[np.bool_]:
        """A new `(H, W) bool` of the frame's size: True where a pixel's centre lies inside the contour."""
        width, height = self.frame_size
        mask = np.zeros((height, width), np.bool_)
        fill_polygon(self.contour, mask)
        return mask
