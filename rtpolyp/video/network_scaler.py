"""NetworkScaler: the network's input, straight from a frame's YUV planes."""

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import View
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.video.bgr_converter import BgrConverter
from rtpolyp.video.colour import Colour
from rtpolyp.video.frame import Frame

__all__ = ["NetworkScaler"]


class NetworkScaler:
    """Gives what `imaging.preprocess.resize_frame` gives for the full-size BGR picture, without making it.

    For one view and one thread. The two differ by 0.2 levels of 255 on average on the real clips; of an image
    file they are the same, for its frame carries the file's own pixels.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._layout: tuple[str, Colour] | None = None
        self._convert: BgrConverter | None = None

    def __call__(self, frame: Frame) -> NDArray[np.uint8]:
        """Scale one frame to a new C-contiguous `(H, W, 3) uint8 BGR` at the network's size.

        Raises InputError when the frame's size is not the view's.
        """
        view = self._view
        if frame.size != (view.frame_width, view.frame_height):
            raise InputError(
                f"frame {frame.name} has {frame.size[0]}x{frame.size[1]} pixels, but the view is of "
                f"{view.frame_width}x{view.frame_height}: make a view for this frame's size"
            )
        if frame.still is not None:
            return resize_frame(frame.still, (view.network_width, view.network_height), view)
        layout = frame.native.format.name, frame.colour
        if self._convert is None or layout != self._layout:  # constant in a stream, but images may differ
            size = view.network_width, view.network_height
            self._convert, self._layout = BgrConverter(frame.native, view.crop, size), layout
        return self._convert(frame.native)
