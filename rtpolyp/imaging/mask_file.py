"""Mask files → which pixels are polyp: the one reader of evaluation, preparation and training.

    0 and 1             1 is polyp
    0 and 255           255 is polyp; so is any other single value above 127
    grey                above 127 is polyp: JPEG leaves a grey rim around what was 0 and 255
    colours on black    a class each, like BKAI-IGH NeoPolyp's red and green; all are polyp, or those chosen
    on transparency     transparent pixels are background; where all is black, the opaque ones are polyp

Files of 16 bits are scaled to 8. What could be read in two ways is refused by name: labels such as 0, 1 and
2, a third grey, a background that is not black, a picture or a probability map in place of a mask.
"""

from collections.abc import Set
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.image_file import MAX_PIXELS, palette_indices, read_pixels

__all__ = ["COLOURS", "Reading", "read_mask", "read_mask_file"]

COLOURS = ("white", "red", "yellow", "green", "cyan", "blue", "magenta")  # white and six sectors of hue
THRESHOLD = 127  # the largest grey value that is background
JPEG_NOISE = 16  # how far JPEG moves the values of flat black or white
COLOURED = (
    64  # a colour's brightest channel, and its lead over the darkest, reach at least this; grey's do not
)
GREY = range(JPEG_NOISE + 1, 255 - JPEG_NOISE)  # neither black nor white
HALF_TONES = 0.05  # of the picture; a rim is thinner
SQUARE = np.ones((5, 5), np.uint8)  # a value that fills one is a class; in a JPEG's edges none does
FEW_LEVELS = 8  # a lossless file with no more is a map of labels, and not made from a JPEG
# A class's values lie close together, a picture's do not: on masks from six hospitals more than 45 % of a
# class is this close to its median, on the pictures themselves less.
CLOSE, CLOSE_SHARE = 8, 0.45
SMALL = 0.01  # of the picture; of a smaller region most pixels may be its rim
RIM = 0.9  # share of the picture's border that one colour fills where it is the background


class Reading(NamedTuple):
    """A mask, and how it was come by."""

    polyp: NDArray[np.bool_]  # (H, W)
    kind: str  # "empty", "0 and 1", "0 and 255", "grey rim", "colours", "alpha" or "polygons"
    classes: dict[str, int]  # pixels of each colour or category, taken or not
    half_tones: bool = False  # more grey than a rim has: blurred?


def read_mask(path: Path, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.bool_]:
    """Read a mask of any kind above as `(H, W) bool`, every class being polyp; raises InputError."""
    return read_mask_file(path, max_pixels=max_pixels).polyp


def read_mask_file(path: Path, chosen: Set[str] = frozenset(), *, max_pixels: int = MAX_PIXELS) -> Reading:
    """Read a mask of any kind above; `chosen` are the COLOURS that are polyp, all where it is empty.

    Raises InputError where the file is missing or broken, or its values do not say what is polyp.
    """
    pixels = _in_8_bits(path, read_pixels(path, max_pixels=max_pixels))
    if not pixels.any() and palette_indices(path) > 1:
        raise InputError(
            f"{path}: its palette shows every value in black; write 255 where a polyp is, else 0"
        )
    if pixels.ndim == 2:
        return _from_grey(path, pixels, chosen)
    colours, is_alpha = _on_black(path, pixels) if pixels.shape[2] == 4 else (pixels, False)
    if is_alpha:
        return _from_grey(path, pixels[:, :, 3], chosen)._replace(kind="alpha")
    brightest = colours.max(axis=2)
    if (brightest - colours.min(axis=2)).max() < COLOURED:
        return _from_grey(path, brightest, chosen)  # and not the luma, which makes 0 of a red 1
    return _from_colours(path, colours, chosen)


def _in_8_bits(path: Path, pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.dtype.kind == "f":
        raise InputError(f"{path}: pixels of type {pixels.dtype}; export the mask with 8 bits")
    if pixels.dtype != np.uint8:
        low, high = int(pixels.min()), int(pixels.max())
        if low < 0 or high > 65_535:
            raise InputError(f"{path}: values {low} … {high}; export the mask with 8 bits")
        # labels and masks of 0 and 255 are stored in 16 bits too
        pixels = pixels if high <= 255 else pixels // 257
        if high and not pixels.any():  # 256 alone: what was meant by it is not known
            raise InputError(f"{path}: values 0, {high} of 65535; write 255 where a polyp is, else 0")
    return np.asarray(pixels, np.uint8)


def _on_black(path: Path, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bool]:
    """The colours (H, W, 3) with black for transparency, and whether alpha alone tells polyps apart."""
    alpha, bgr = pixels[:, :, 3], pixels[:, :, :3]
    opaque = alpha > int(alpha.max()) / 2  # a half-transparent overlay is one too
    if not opaque.any() and (bgr != bgr[0, 0]).any():
        raise InputError(f"{path}: wholly transparent over colours; export the mask without transparency")
    colours = bgr * opaque[:, :, None]
    return colours, bool(not opaque.all() and opaque.any() and not colours.any())


def _from_grey(path: Path, grey: NDArray[np.uint8], chosen: Set[str]) -> Reading:
    counts = np.bincount(grey.ravel(), minlength=256)
    levels = np.flatnonzero(counts)
    top = int(levels[-1])
    is_jpeg = path.suffix.lower() in (".jpg", ".jpeg", ".jpe", ".jfif")
    if top == 0 or (is_jpeg and top <= JPEG_NOISE):
        return Reading(np.zeros(grey.shape, bool), "empty", {})
    if top == 1:
        polyp, kind = grey == 1, "0 and 1"
    else:
        _refuse_labels(path, grey, levels)
        _refuse_picture(path, grey[:, :, None], grey > JPEG_NOISE)
        polyp = grey > THRESHOLD
        kind = "0 and 255" if set(levels.tolist()) <= {0, 255} else "grey rim"
    classes = {"white": int(np.count_nonzero(polyp))}
    if chosen and "white" not in chosen:
        polyp = np.zeros_like(polyp)
    half_tones = bool(counts[GREY].sum() > HALF_TONES * grey.size) and kind == "grey rim"
    return Reading(polyp, kind, classes, half_tones)


def _refuse_labels(path: Path, grey: NDArray[np.uint8], levels: NDArray[np.int64]) -> None:
    """Raise InputError where more than one value, or one of the darker half, may be a class."""
    if levels[-1] <= THRESHOLD:
        raise InputError(
            f"{path}: values {_listed(levels)}, none above {THRESHOLD}; write 255 where a polyp is, else 0"
        )
    flat = np.unique(grey[cv2.erode(grey, SQUARE) == cv2.dilate(grey, SQUARE)])
    lowest = 1 if len(levels) <= FEW_LEVELS else JPEG_NOISE + 1
    highest = int(levels[-1])
    between = flat[(flat >= lowest) & (flat < highest - JPEG_NOISE)]
    if len(between):
        found = sorted({0, *between.tolist(), highest})
        raise InputError(
            f"{path}: values {_listed(np.array(found))} fill areas, and only one can be polyp; "
            "write 255 where a polyp is, else 0"
        )


def _refuse_picture(path: Path, pixels: NDArray[np.uint8], inside: NDArray[np.bool_]) -> None:
    """Raise InputError where the values of a class `inside` spread like a picture's: (H, W, C), (H, W)."""
    values = pixels[inside]
    if len(values) < SMALL * inside.size:
        return
    near = (np.abs(values - np.median(values, axis=0)) <= CLOSE).all(axis=1)
    share = float(near.mean())
    if share < CLOSE_SHARE:
        raise InputError(
            f"{path}: a picture or a probability map, no mask: {share:.0%} of what is not black is of one "
            "shade; write 255 where a polyp is, else 0"
        )


def _from_colours(path: Path, colours: NDArray[np.uint8], chosen: Set[str]) -> Reading:
    hue, saturation, value = cv2.split(cv2.cvtColor(colours, cv2.COLOR_BGR2HSV))
    is_coloured = (value >= COLOURED) & (saturation >= COLOURED)
    sector = 2 + (hue + 15) // 30 % 6  # OpenCV's hue has 180 steps, red is 0
    index = np.where(is_coloured, sector, (value > THRESHOLD).astype(np.uint8))  # 0 is black, 1 white
    counts = np.bincount(index.ravel(), minlength=1 + len(COLOURS))
    rim = np.bincount(
        np.concatenate([index[0], index[-1], index[:, 0], index[:, -1]]), minlength=1 + len(COLOURS)
    )
    found = {name: int(count) for name, count in zip(COLOURS, counts[1:], strict=True) if count}
    around = int(rim.argmax())
    if around and rim[around] > RIM * rim.sum() and len(found) > 1:
        raise InputError(f"{path}: the background is {COLOURS[around - 1]}; write black where no polyp is")
    _refuse_picture(path, colours, index == 1 + int(counts[1:].argmax()))
    taken = [index for index, name in enumerate(COLOURS, 1) if not chosen or name in chosen]
    return Reading(np.isin(index, taken), "colours", found)


def _listed(levels: NDArray[np.int64]) -> str:
    return ", ".join(map(str, levels)) if len(levels) <= 5 else f"{levels[0]} … {levels[-1]}"
