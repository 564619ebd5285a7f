"""View: which part of a frame the network sees, and the maps between the two pixel grids."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtpolyp.checks import require_whole
from rtpolyp.errors import InputError

__all__ = ["LEAST", "Rect", "View", "make_view"]

LEAST = 16  # pixels: a smaller picture says nothing to a network


@dataclass(frozen=True)
class Rect:
    """An axis-aligned rectangle in whole pixels; raises InputError where a field is no whole number."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        for name in ("x", "y", "width", "height"):
            require_whole(name, getattr(self, name), example="whole pixels, e.g. 64")


@dataclass(frozen=True)
class View:
    """The crop of an upright frame that is stretched to the network's input.

    Pixel centres sit at half-integers in both grids: network pixel `n` covers frame pixels
    `crop.x + n * crop.width / network_width` to `crop.x + (n + 1) * crop.width / network_width`.
    """

    frame_width: int  # pixels, upright
    frame_height: int
    crop: Rect  # in frame pixels; unless it is the whole frame, even, so that 4:2:0 chroma stays aligned
    network_width: int  # pixels
    network_height: int

    @property
    def scale(self) -> tuple[float, float]:
        """Frame pixels per network pixel, (horizontal, vertical)."""
        return self.crop.width / self.network_width, self.crop.height / self.network_height

    @property
    def _scale(self) -> NDArray[np.float32]:
        return np.array(self.scale, np.float32)

    @property
    def _offset(self) -> NDArray[np.float32]:
        return np.array((self.crop.x, self.crop.y), np.float32)

    def to_frame(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map edge coordinates `(K, 2) float32 (x, y)` from the network's grid to the frame's."""
        return points * self._scale + self._offset


def make_view(frame_size: tuple[int, int], network_size: tuple[int, int], crop: Rect | None = None) -> View:
    """Build the View of a frame `(width, height)` for a network `(width, height)`.

    Without `crop` the whole frame is used. Raises InputError when the crop leaves the frame.
    """
    width, height = frame_size
    if crop is None:
        crop = Rect(0, 0, width, height)
    elif crop.x < 0 or crop.y < 0 or crop.x + crop.width > width or crop.y + crop.height > height:
        raise InputError(
            f"crop {crop.x},{crop.y},{crop.width},{crop.height} leaves the {width}x{height} frame: "
            "give x,y,w,h inside it"
        )
    elif crop.width < LEAST or crop.height < LEAST:
        raise InputError(f"crop {crop.width}x{crop.height} is under {LEAST} pixels: give a larger one")
    else:
        x, y = crop.x // 2 * 2, crop.y // 2 * 2
        crop = Rect(x, y, (crop.x + crop.width - x) // 2 * 2, (crop.y + crop.height - y) // 2 * 2)
    return View(width, height, crop, *network_size)
