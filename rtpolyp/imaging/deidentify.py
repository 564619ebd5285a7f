"""De-identification: all but the endoscope's picture is blanked, since towers write names beside it."""

import numpy as np

from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.overlay import Planes, ink

__all__ = ["blank_outside"]


def blank_outside(planes: Planes, picture: Rect | None, *, full_range: bool) -> None:
    """Make every pixel outside `picture` (frame pixels) black, in place, on all three planes.

    None, for a picture that is not known yet, blanks the whole frame. The rectangle is shrunk to even edges,
    so that no sample of chroma is shared with the outside. What a round or octagonal picture leaves of the
    rectangle's corners stays, and so does anything that the tower writes into the picture itself; a
    `picture` that is the whole frame blanks nothing. Draw badges afterwards: they carry no names.
    """
    black = ink((0.0, 0.0, 0.0), full_range)
    x0, y0, x1, y1 = (0, 0, 0, 0) if picture is None else _even_edges(picture, planes[0].shape)
    for plane, value, step in zip(planes, black, (1, 2, 2), strict=True):
        rows, columns = np.s_[-(-y0 // step) : -(-y1 // step)], np.s_[-(-x0 // step) : -(-x1 // step)]
        plane[: rows.start] = value
        plane[rows.stop :] = value
        plane[rows, : columns.start] = value
        plane[rows, columns.stop :] = value


def _even_edges(picture: Rect, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The edges x0, y0, x1, y1 rounded inwards to even ones; the frame's own last edge may be odd."""
    height, width = shape
    x1, y1 = min(picture.x + picture.width, width), min(picture.y + picture.height, height)
    x0, y0 = max(0, picture.x), max(0, picture.y)
    return x0 + x0 % 2, y0 + y0 % 2, x1 - (x1 % 2 if x1 < width else 0), y1 - (y1 % 2 if y1 < height else 0)
