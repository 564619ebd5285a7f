"""NumPy views of a frame's planes."""

from typing import TypeAlias

import av
import numpy as np
from numpy.typing import NDArray

__all__ = ["Planes", "plane_view"]

# Y (height, width), U and V (⌈height/2⌉, ⌈width/2⌉), all uint8
Planes: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]


def plane_view(native: av.VideoFrame, index: int) -> NDArray[np.uint8]:
    """View one 8-bit plane as `(height, width) uint8`, skipping its lines' padding; keeps the frame alive."""
    plane = native.planes[index]
    shape = plane.height, plane.width
    return np.ndarray(shape, np.uint8, buffer=plane, strides=(plane.line_size, 1))  # type: ignore[arg-type]
