"""BgrConverter: YUV planes to BGR pixels in one libswscale pass, and the way back."""

from fractions import Fraction

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import Rect
from rtpolyp.video.colour import Colour
from rtpolyp.video.filter_chain import FilterChain
from rtpolyp.video.planes import plane_view

__all__ = ["BgrConverter", "native_of_bgr"]

# Along an axis that shrinks, `area` averages; along one that grows it is bilinear: as OpenCV's INTER_AREA
# and INTER_LINEAR in imaging.preprocess. `accurate_rnd` is free where pixels are scaled; where they are not
# it turns off a short cut that darkens by 1.1 levels and repeats chroma (mean absolute error 1.15 → 0.25).
FLAGS = "area+accurate_rnd"


class BgrConverter:
    """Crops, scales and converts frames of one size, pixel format and colour; for one thread.

    libswscale writes planar GBR, since it halves the chroma resolution of packed BGR: at 1280x1024 → 352x352
    that takes 0.6 core-ms where full_chroma_int, its flag for a full-resolution packed output, takes 1.5.
    """

    def __init__(self, like: av.VideoFrame, crop: Rect, size: tuple[int, int]) -> None:
        colour = Colour.of(like)
        scale = (
            f"{size[0]}:{size[1]}:flags={FLAGS}:in_range={colour.swscale_range}:"
            f"in_color_matrix={colour.swscale_matrix((like.width, like.height))}"
        )
        window = f"{crop.width}:{crop.height}:{crop.x}:{crop.y}:exact=1"  # moves pointers, copies nothing
        plain = "color_primaries=unknown:color_trc=unknown"  # swscale refuses frames of the rarer ones
        self._chain = FilterChain(
            like, [("crop", window), ("setparams", plain), ("scale", scale), ("format", "gbrp")]
        )

    def __call__(self, native: av.VideoFrame) -> NDArray[np.uint8]:
        """Convert one frame to a new C-contiguous `(height, width, 3) uint8 BGR`."""
        (planar,) = self._chain(native)
        green, blue, red = (plane_view(planar, index) for index in range(3))
        return np.asarray(cv2.merge((blue, green, red)), np.uint8)


def native_of_bgr(bgr: NDArray[np.uint8], pixel_format: str, colour: Colour) -> av.VideoFrame:
    """The planes of `(height, width, 3) uint8 BGR` in a 4:2:0 format, tagged with `colour` and encoded so."""
    packed = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(bgr), format="bgr24")
    packed.pts, packed.time_base = 0, Fraction(1)
    matrix = colour.swscale_matrix((packed.width, packed.height))
    scale = f"flags={FLAGS}+full_chroma_inp:out_color_matrix={matrix}:out_range={colour.swscale_range}"
    (native,) = FilterChain(packed, [("scale", scale), ("format", pixel_format)])(packed)
    native.colorspace, native.color_range = colour.matrix, colour.range
    native.color_primaries, native.color_trc = colour.primaries, colour.transfer
    return native
