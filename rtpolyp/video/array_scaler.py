"""ArrayScaler: the network's input, straight from a BGR array."""

from fractions import Fraction

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import View
from rtpolyp.video.colour import FULL
from rtpolyp.video.filter_chain import FilterChain
from rtpolyp.video.planes import plane_view

__all__ = ["ArrayScaler"]

# full_chroma_inp: libswscale scales in YUV, and without this flag it would skip every second pixel's colour.
FLAGS = "area+full_chroma_inp+accurate_rnd"
BT601 = 5  # there and back, so any matrix would do
NO_TIME = Fraction(1)


class ArrayScaler:
    """Gives what `imaging.preprocess.resize_frame` gives, several times as fast; for one view and one thread.

    No byte differs by more than 1 level of 255, and the average by 0.02 to 0.15 levels. On one core of an
    AMD EPYC, to 288x288 pixels, 622x528 takes 0.6 ms in place of 2.0, and 1920x1080 takes 2.2 ms in place
    of 19.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._chain: FilterChain | None = None

    def __call__(self, array: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Scale `(H, W, 3) uint8 BGR` of the view's frame to a new `(h, w, 3) uint8 BGR` for the network.

        Raises InputError when the array's size is not that of the view's frame.
        """
        view, crop = self._view, self._view.crop
        if array.shape[:2] != (view.frame_height, view.frame_width):
            raise InputError(
                f"an array of {array.shape[1]}x{array.shape[0]} pixels, but the view is of "
                f"{view.frame_width}x{view.frame_height}: make a view for this size"
            )
        inside = array[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
        native = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(inside), format="bgr24")  # no copy
        native.colorspace, native.color_range = BT601, FULL
        native.pts, native.time_base = 0, NO_TIME
        if self._chain is None:
            scale = f"{view.network_width}:{view.network_height}:flags={FLAGS}"
            self._chain = FilterChain(native, [("scale", scale), ("format", "gbrp")])
        (planar,) = self._chain(native)
        green, blue, red = (plane_view(planar, index) for index in range(3))
        return np.asarray(cv2.merge((blue, green, red)), np.uint8)
