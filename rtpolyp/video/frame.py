"""Frame and Segmentation: a picture as the decoder gave it, and what was found in it."""

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import View
from rtpolyp.imaging.polyp import Polyp

__all__ = ["Frame", "Segmentation"]


@dataclass(frozen=True)
class Frame:
    """One upright picture in 8-bit planar YUV 4:2:0, colour matrix and range as in the stream."""

    native: (
        av.VideoFrame
    )  # format yuv420p or yuvj420p; the decoder may still refer to its planes: never write to them
    index: int  # 0, 1, 2 … in display order
    pts: int  # presentation time in units of time_base
    time_base: Fraction  # seconds
    captured_at: float  # time.monotonic() when the frame left the decoder
    name: str  # what a person calls it: the image's stem, or the frame's index with six digits

    @property
    def pts_seconds(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.native.width, self.native.height


@dataclass(frozen=True)
class Segmentation:
    """What the engine saw in the frame with the same index and pts."""

    index: int
    pts_seconds: float
    polyps: tuple[Polyp, ...]  # largest first
    probability: NDArray[np.uint8]  # (H, W) on the network's grid, after temporal smoothing, 255 = polyp
    view: View  # maps the network's grid to the frame
