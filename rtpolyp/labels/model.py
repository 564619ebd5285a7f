"""Labels: the polyps of frames, as polygons, between the files that they come from and go to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.contour import fill_polygon
from rtpolyp.imaging.mask_outline import Outline

__all__ = ["CATEGORY", "LabelledFrame", "Labels", "Region"]

CATEGORY = "polyp"  # the only label that is written


@dataclass(frozen=True, eq=False)
class Region:
    """One polyp of a frame."""

    outline: Outline  # in frame pixels, edge coordinates
    track: int | None = None  # the same in all frames of a stream that show this polyp
    confidence: float | None = None  # 0 to 1; None where a person drew it

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """`(H, W) bool` of a frame of `size` (width, height): pixels whose centre lies in it."""
        mask, holes = (np.zeros(size[::-1], np.bool_) for _ in range(2))
        fill_polygon(self.outline.outer, mask)
        for hole in self.outline.holes:
            fill_polygon(hole, holes)
        return mask & ~holes

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x, y, width and height in pixels."""
        (x0, y0), (x1, y1) = self.outline.outer.min(axis=0), self.outline.outer.max(axis=0)
        return float(x0), float(y0), float(x1 - x0), float(y1 - y0)


@dataclass(frozen=True, eq=False)
class LabelledFrame:
    """One frame and its polyps."""

    index: int  # of the frame in the video, or of the image among all
    file: str  # its picture's path in images/, with / between folders
    size: tuple[int, int]  # width and height in pixels
    regions: tuple[Region, ...]

    @property
    def stem(self) -> str:
        """The path without its extension."""
        head, _, name = self.file.rpartition("/")
        stem = name.rpartition(".")[0] or name
        return f"{head}/{stem}" if head else stem

    def mask(self) -> NDArray[np.bool_]:
        """`(H, W) bool`: the polyps' pixels."""
        mask = np.zeros(self.size[::-1], np.bool_)
        for region in self.regions:
            mask |= region.mask(self.size)
        return mask


@dataclass(frozen=True, eq=False)
class Labels:
    """All that is exported."""

    source: str  # the name of the video or folder
    is_sequence: bool  # frames follow each other in time
    frames: tuple[LabelledFrame, ...]  # by index
