"""What may be given as a picture: BGR arrays, which are checked and never guessed at, and frames."""

from typing import Literal, TypeAlias, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.checks import require_choice
from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import LEAST, Rect, View
from rtpolyp.video.array_scaler import ArrayScaler
from rtpolyp.video.frame import Frame
from rtpolyp.video.network_scaler import NetworkScaler
from rtpolyp.video.planes import Planes, plane_view

__all__ = [
    "CHANNEL_ORDERS",
    "ChannelOrder",
    "Picture",
    "Scaler",
    "as_bgr",
    "check_array",
    "luma_of",
    "sampled_planes",
    "size_of",
]

ChannelOrder: TypeAlias = Literal["BGR", "RGB"]
CHANNEL_ORDERS = get_args(ChannelOrder)
Picture: TypeAlias = NDArray[np.uint8] | Frame

SAMPLES = 512  # along the longer side, of the planes that a picture's quality is judged by


def check_array(image: object, channel_order: ChannelOrder = "BGR") -> NDArray[np.uint8]:
    """Make sure that `image` is `(H, W, 3) uint8`, and return it in BGR order: as it is, or as a view.

    Nothing is guessed from an array's content: whether it holds RGB, says `channel_order` alone. Raises
    InputError, with what was given and the remedy, for anything else.
    """
    require_choice("channel_order", channel_order, CHANNEL_ORDERS)
    if not isinstance(image, np.ndarray):
        kind = f"{type(image).__module__}.{type(image).__qualname__}"
        raise InputError(
            f"a {kind}: give a NumPy array (H, W, 3) uint8 in BGR order, or the path of an image"
        )
    remedy = None
    if image.ndim != 3 or image.shape[2] != 3:
        remedy = f"(height, width, 3), {_remedy(image.shape)}"
    elif image.dtype != np.uint8:
        remedy = "uint8 from 0 to 255; of floats in [0, 1] that is numpy.uint8(255 * image + 0.5)"
    elif min(image.shape[:2]) < LEAST:
        remedy = f"at least {LEAST}x{LEAST} pixels"
    if remedy is not None:
        raise InputError(f"an array {image.shape} {image.dtype}: give {remedy}")
    return image if channel_order == "BGR" else image[..., ::-1]


def _remedy(shape: tuple[int, ...]) -> str:
    if len(shape) == 2 or shape[-1:] == (1,):
        return "in colour: the networks learnt from colour, and a grey picture lacks what they look at"
    if shape[-1:] == (4,):
        return "without the alpha channel: image[..., :3]"
    if len(shape) == 3 and shape[0] == 3:
        return "channels last: numpy.moveaxis(image, 0, -1)"
    if len(shape) == 4:
        return "one picture, or a list of pictures: list(images)"
    return "one picture in BGR order"


def size_of(picture: Picture) -> tuple[int, int]:
    """(width, height) in pixels."""
    return picture.size if isinstance(picture, Frame) else (picture.shape[1], picture.shape[0])


def as_bgr(picture: Picture) -> NDArray[np.uint8]:
    """`(H, W, 3) uint8 BGR`: the array itself, or a frame's new one."""
    return picture.to_bgr() if isinstance(picture, Frame) else picture


def luma_of(picture: Picture) -> NDArray[np.uint8]:
    """The luma plane `(H, W) uint8`."""
    if isinstance(picture, Frame):
        return picture.luma()
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_BGR2GRAY), np.uint8)


def sampled_planes(picture: Picture, crop: Rect) -> tuple[Planes, Rect]:
    """The planes that FrameQuality looks at, and `crop` on them.

    A frame's are its own. Of an array every n-th pixel is taken, which is as many as FrameQuality takes.
    """
    if isinstance(picture, Frame):
        y, u, v = (plane_view(picture.native, index) for index in range(3))
        return (y, u, v), crop
    step = max(1, max(picture.shape) // SAMPLES)
    some = picture[::step, ::step]
    height, width = some.shape[0] // 2 * 2, some.shape[1] // 2 * 2
    even = np.ascontiguousarray(some[:height, :width])
    packed = np.asarray(cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420), np.uint8)
    u, v = packed[height:].reshape(2, height // 2, width // 2)
    left, top = crop.x // step, crop.y // step
    inside = Rect(left, top, min(crop.width // step, width - left), min(crop.height // step, height - top))
    return (packed[:height], u, v), inside


class Scaler:
    """The network's input from arrays and frames, for one thread; remembers the last view's filters."""

    def __init__(self) -> None:
        self._view: View | None = None
        self._of_arrays: ArrayScaler
        self._of_frames: NetworkScaler

    def __call__(self, picture: Picture, view: View) -> NDArray[np.uint8]:
        """Crop and scale to a new C-contiguous `(h, w, 3) uint8 BGR` at the network's size."""
        if view != self._view:
            self._view, self._of_arrays, self._of_frames = view, ArrayScaler(view), NetworkScaler(view)
        return self._of_frames(picture) if isinstance(picture, Frame) else self._of_arrays(picture)
