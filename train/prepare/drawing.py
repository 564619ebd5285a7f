"""What an annotator drew on an image, from whatever file it came, as a mask."""

from collections.abc import Iterable, Set
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.contour import fill_polygon
from rtpolyp.imaging.image_file import MAX_PIXELS
from rtpolyp.imaging.mask_file import Reading
from rtpolyp.imaging.run_length import decode_rows, encode_rows

__all__ = [
    "MAX_FILE_BYTES",
    "Drawing",
    "Drawings",
    "Patch",
    "Shape",
    "check_size",
    "draw",
    "merged",
    "patch_of",
    "ring_of",
]

MAX_FILE_BYTES = 1 << 30  # of a labelling tool's file
FARTHEST = 1e5  # pixels from the corner, of a polygon's point


class Shape(NamedTuple):
    """One polygon."""

    category: str
    ring: NDArray[np.float64]  # (P, 2), x and y in pixels; (0, 0) is the corner of the first pixel


class Patch(NamedTuple):
    """One mask, kept as runs: thousands of them are read before the first is drawn."""

    category: str
    left: int  # of its box in the image, pixels
    top: int
    size: tuple[int, int]  # of its box, width and height
    runs: NDArray[np.int64]  # lengths of background and mask in turns, by rows, which fill the box


class Drawing(NamedTuple):
    """All that was drawn on an image, and the size that it was drawn for."""

    width: int  # pixels
    height: int
    shapes: tuple[Shape | Patch, ...]


Drawings: TypeAlias = dict[str, "Drawing | str"]  # image stem → its drawing, or what is wrong with it


def patch_of(category: str, mask: NDArray[np.bool_], left: int = 0, top: int = 0) -> Patch:
    """The patch of `mask: (h, w) bool`, whose first pixel is at `left`, `top`."""
    size = mask.shape[1], mask.shape[0]
    return Patch(category, left, top, size, np.array(encode_rows(np.ascontiguousarray(mask)), np.int64))


def ring_of(points: object) -> NDArray[np.float64]:
    """The ring of a flat list, or of pairs, of coordinates in pixels.

    Raises InputError where it encloses nothing or lies nowhere near an image.
    """
    ring = np.array(points, np.float64)
    if not np.isfinite(ring).all() or np.abs(ring).max(initial=0) > FARTHEST:
        raise InputError("a polygon with a point that is nowhere near an image. Draw it again, or delete it")
    if ring.size < 6 or ring.size % 2 or ring.shape not in ((ring.size,), (ring.size // 2, 2)):
        raise InputError("no polygon of at least three points. Draw it again, or delete it")
    return ring.reshape(-1, 2)


def check_size(width: int, height: int) -> None:
    """Raise ValueError for an image that nobody has, before memory for it is taken."""
    if min(width, height) < 1 or width * height > MAX_PIXELS:
        raise ValueError(f"an image of {width}x{height} pixels")


def merged(files: Iterable[tuple[Path, Drawings]]) -> Drawings:
    """The drawings of all files; an image that two of them annotate is a problem."""
    drawings: Drawings = {}
    for path, found in files:
        for stem, drawing in found.items():
            drawings[stem] = (
                drawing if stem not in drawings else f"{path.name}: {stem} is in another file, too"
            )
    return drawings


def draw(drawing: Drawing, chosen: Set[str] = frozenset()) -> Reading:
    """The mask of a drawing; `chosen` are the categories that are polyp, all where it is empty.

    A pixel belongs to a polygon when its centre lies inside.
    """
    polyp = np.zeros((drawing.height, drawing.width), bool)
    classes: dict[str, int] = {}
    for shape in drawing.shapes:
        inside = np.zeros_like(polyp)
        if isinstance(shape, Patch):
            top, left = max(shape.top, 0), max(shape.left, 0)
            mask = decode_rows(shape.runs, shape.size)[top - shape.top :, left - shape.left :]
            window = inside[top : top + mask.shape[0], left : left + mask.shape[1]]
            window |= mask[: window.shape[0], : window.shape[1]]
        else:
            fill_polygon(shape.ring, inside)
        classes[shape.category] = classes.get(shape.category, 0) + int(np.count_nonzero(inside))
        if not chosen or shape.category in chosen:
            polyp |= inside
    return Reading(polyp, "polygons", classes)
