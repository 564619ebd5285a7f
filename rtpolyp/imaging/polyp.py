"""Polyp: one outlined region, in the pixels of the frame it was found in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import Rect

__all__ = ["Polyp"]


@dataclass(frozen=True)
class Polyp:
    """One connected region at or above the threshold."""

    box: Rect  # frame pixels
    area: float  # frame pixels, square
    confidence: float  # mean probability over the region, 0 to 1
    contour: NDArray[np.float32]  # (K, 2) x, y in frame pixels, edge coordinates, closed, outer boundary
    track: int | None = None  # the same number in every frame of a stream, from 1; None in a picture alone
