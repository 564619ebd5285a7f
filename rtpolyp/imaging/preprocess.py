"""The one definition of what the network sees: crop and resize, for training and runtime alike."""

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import View
from rtpolyp.spec import EngineSpec

__all__ = ["resize_frame"]


def resize_frame(
    frame: NDArray[np.uint8], target: EngineSpec | tuple[int, int], view: View | None = None
) -> NDArray[np.uint8]:
    """Crop a frame by its view and stretch it to the network's input size.

    Takes `frame: (H, W, 3) uint8 BGR` (or a mask or luma plane, `(H, W) uint8`) and a bundle's spec or a
    size `(width, height)` in pixels; returns a C-contiguous `(height, width, 3) uint8 BGR`, which is `frame`
    itself when nothing had to change. Pixels are averaged over their area along an axis that shrinks and
    interpolated linearly along one that grows. Raises InputError when `view` belongs to another frame or
    network size.
    """
    size = target.size if isinstance(target, EngineSpec) else target
    if view is not None:
        if frame.shape[:2] != (view.frame_height, view.frame_width):
            raise InputError(
                f"frame of {frame.shape[1]}x{frame.shape[0]} pixels, but the view is of "
                f"{view.frame_width}x{view.frame_height}: make a view for this frame's size"
            )
        if size != (view.network_width, view.network_height):
            raise InputError(
                f"network input of {size[0]}x{size[1]} pixels, but the view is for "
                f"{view.network_width}x{view.network_height}: make a view for this network"
            )
        crop = view.crop
        frame = frame[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
    # INTER_AREA silently turns into bilinear, and aliases, as soon as one axis grows: shrink first.
    shrunk = min(size[0], frame.shape[1]), min(size[1], frame.shape[0])
    if shrunk != (frame.shape[1], frame.shape[0]):
        frame = _resize(frame, shrunk, cv2.INTER_AREA)
    if shrunk != size:
        frame = _resize(frame, size, cv2.INTER_LINEAR)
    return np.ascontiguousarray(frame)


def _resize(frame: NDArray[np.uint8], size: tuple[int, int], interpolation: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(frame, size, interpolation=interpolation), np.uint8)
