"""Frame and Segmentation: a picture as the decoder gave it, and what was found in it."""

import dataclasses
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect, View
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.video.bgr_converter import BgrConverter, native_of_bgr
from rtpolyp.video.colour import Colour
from rtpolyp.video.planes import Planes, plane_view

__all__ = ["Frame", "Planes", "Segmentation"]


@dataclass(frozen=True)
class Frame:
    """One upright picture in 8-bit planar YUV 4:2:0, colour matrix and range as in the stream."""

    native: av.VideoFrame  # yuv420p or yuvj420p; the decoder may still refer to its planes: never write there
    index: int  # 0, 1, 2 … in display order
    pts: int  # presentation time in units of time_base
    time_base: Fraction  # seconds
    captured_at: float  # time.monotonic() when the frame left the source
    name: str  # what a person calls it: the image's stem, or the frame's index with six digits
    still: NDArray[np.uint8] | None = None  # an image file's own pixels (H, W, 3) BGR

    @property
    def pts_seconds(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.native.width, self.native.height

    @property
    def colour(self) -> Colour:
        """The frame's colour tags."""
        return Colour.of(self.native)

    @property
    def full_range(self) -> bool:
        """True when luma spans 0 to 255, False when it spans 16 to 235."""
        return self.colour.full_range

    def luma(self) -> NDArray[np.uint8]:
        """The Y plane `(height, width) uint8`, a read-only view."""
        view = plane_view(self.native, 0)
        view.flags.writeable = False
        return view

    def to_bgr(self) -> NDArray[np.uint8]:
        """Convert to a new `(height, width, 3) uint8 BGR`, for a window or a snapshot.

        The network's input comes from NetworkScaler instead, which never makes the full-size picture.
        """
        whole = Rect(0, 0, *self.size)
        return BgrConverter(self.native, whole, self.size)(self.native)

    def with_bgr(self, bgr: NDArray[np.uint8]) -> "Frame":
        """The frame of the same time, format and colour tags that shows `bgr: (height, width, 3) uint8 BGR`.

        The inverse of `to_bgr`, for drawings of one's own. Raises InputError on another shape or dtype.
        """
        width, height = self.size
        if bgr.shape != (height, width, 3) or bgr.dtype != np.uint8:
            raise InputError(
                f"an array {bgr.shape} {bgr.dtype}: give ({height}, {width}, 3) uint8, as the frame has"
            )
        native = native_of_bgr(bgr, self.native.format.name, self.colour)
        native.pts, native.time_base, native.duration = self.pts, self.time_base, self.native.duration
        return dataclasses.replace(self, native=native)

    def writable(self) -> tuple["Frame", Planes]:
        """Copy the picture once; return the copy and views of its planes, for drawing on.

        The views skip the lines' padding and stay valid as long as any of them or the copy lives.
        """
        native, copy = self.native, av.VideoFrame(*self.size, self.native.format.name)
        copy.pts, copy.time_base, copy.duration = native.pts, native.time_base, native.duration
        copy.colorspace, copy.color_range = native.colorspace, native.color_range
        copy.color_primaries, copy.color_trc = native.color_primaries, native.color_trc
        y, u, v = (plane_view(copy, index) for index in range(3))
        for index, plane in enumerate((y, u, v)):
            plane[:] = plane_view(native, index)
        return dataclasses.replace(self, native=copy), (y, u, v)


@dataclass(frozen=True)
class Segmentation:
    """What the engine saw in the frame with the same index and pts."""

    index: int
    pts_seconds: float
    polyps: tuple[Polyp, ...]  # largest first
    probability: NDArray[np.uint8]  # (H, W) on the network's grid, after temporal smoothing, 255 = polyp
    view: View  # maps the network's grid to the frame
    threshold: float  # of the settings that the polyps were found with
