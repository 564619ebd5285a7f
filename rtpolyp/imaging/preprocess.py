"""The one definition of what the network sees: read, crop and resize, for training and runtime alike."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import View
from rtpolyp.spec import EngineSpec

__all__ = ["read_image", "read_mask", "resize_frame"]


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


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an 8-bit colour image as `(H, W, 3) uint8 BGR`, in the file's own pixel grid.

    EXIF orientation is ignored, so that an image and its mask stay aligned; alpha is dropped. Raises
    InputError when the file is missing or broken, is grey or has 16 bits a channel: the networks learnt
    from 8-bit colour, and a silent conversion would hide that.
    """
    flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = _decode(path, flags)
    if pixels.dtype != np.uint8:
        raise InputError(f"{path}: {8 * pixels.itemsize} bits a channel; convert it to 8 bits")
    if pixels.ndim != 3:
        raise InputError(f"{path}: a grey image, but the network needs colour; give the colour original")
    return pixels


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read a mask as `(H, W) bool`: True where its grey value is above 127 of 255.

    The threshold absorbs the grey edges that JPEG masks have. Raises InputError when the file is missing
    or broken.
    """
    return _decode(path, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION) > 127


def _decode(path: Path, flags: int) -> NDArray[np.uint8]:
    # imdecode and not imread, which opens no non-ASCII path on Windows and cannot say what went wrong.
    try:
        encoded = np.frombuffer(path.read_bytes(), np.uint8)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror}); check the path and its rights") from exc
    pixels = cv2.imdecode(encoded, flags) if encoded.size else None
    if pixels is None:
        raise InputError(f"{path}: not a readable image ({encoded.size} bytes); give a JPEG or PNG")
    return np.asarray(pixels)
