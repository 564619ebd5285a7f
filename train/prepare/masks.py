"""Which pixels of a mask file are polyp, for the kinds of file that annotation tools write.

    0 and 1             1 is polyp; lossless files only
    0 and 255           255 is polyp
    grey                above 127 is polyp: JPEG leaves a grey rim around what was 0 and 255
    colours on black    a class each, like BKAI-IGH NeoPolyp's red and green; all are polyp, or those chosen
    on transparency     transparent pixels are background; where all is black, the opaque ones are polyp

Files of 16 bits are scaled to 8. What could be read in two ways, such as labels 0, 1 and 2, is refused.
"""

from collections.abc import Set
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from rtpolyp.errors import InputError

__all__ = ["COLOURS", "Reading", "read_mask_file"]

COLOURS = ("white", "red", "yellow", "green", "cyan", "blue", "magenta")  # white and six sectors of hue
THRESHOLD = 127  # the largest grey value that is background, as in rtpolyp.imaging.read_mask
JPEG_NOISE = 16  # the largest value that a JPEG of nothing but black holds
COLOURED = (
    64  # a colour's brightest channel, and its lead over the darkest, reach at least this; grey's do not
)
GREY = range(JPEG_NOISE + 1, 255 - JPEG_NOISE)  # neither black nor white
HALF_TONES = 0.05  # of the picture; a rim is thinner


class Reading(NamedTuple):
    """A mask, and how it was come by."""

    polyp: np.ndarray  # (H, W) bool
    kind: str  # "empty", "0 and 1", "0 and 255", "grey rim", "colours", "alpha" or "polygons"
    classes: dict[str, int]  # pixels of each colour or category, taken or not
    half_tones: bool = False  # more grey than a rim has: a probability map, a picture or several classes?


def read_mask_file(path: Path, chosen: Set[str] = frozenset()) -> Reading:
    """Read a mask of any kind above; `chosen` are the COLOURS that are polyp, all where it is empty.

    Raises InputError where the file is broken, or its values do not say what is polyp.
    """
    pixels = _decode(path)
    if pixels.ndim == 2:
        return _from_grey(path, pixels, chosen)
    colours, is_alpha = _on_black(pixels) if pixels.shape[2] == 4 else (pixels, False)
    if is_alpha:
        return _from_grey(path, pixels[:, :, 3], chosen)._replace(kind="alpha")
    brightest = colours.max(axis=2)
    if (brightest - colours.min(axis=2)).max() < COLOURED:
        return _from_grey(path, brightest, chosen)  # and not the luma, which makes 0 of a red 1
    return _from_colours(colours, chosen)


def _decode(path: Path) -> np.ndarray:
    """(H, W), (H, W, 3) BGR or (H, W, 4) BGRA, uint8."""
    try:
        encoded = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror}); check its rights") from exc
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(encoded, flags) if encoded.size else None
    if pixels is None:
        raise InputError(f"{path}: not a readable image ({encoded.size} bytes); export the mask again")
    if pixels.dtype == np.uint16:
        # labels and masks of 0 and 255 are stored in 16 bits too
        pixels = (pixels if pixels.max() <= 255 else pixels // 257).astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise InputError(f"{path}: pixels of type {pixels.dtype}; export the mask with 8 bits")
    return pixels


def _on_black(pixels: np.ndarray) -> tuple[np.ndarray, bool]:
    """The colours (H, W, 3) with black for transparency, and whether alpha alone tells polyps apart."""
    opaque = pixels[:, :, 3] > THRESHOLD
    colours = pixels[:, :, :3] * opaque[:, :, None]
    return colours, bool(not opaque.all() and opaque.any() and not colours.any())


def _from_grey(path: Path, grey: np.ndarray, chosen: Set[str]) -> Reading:
    counts = np.bincount(grey.ravel(), minlength=256)
    levels = np.flatnonzero(counts)
    top = int(levels[-1])
    is_jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    if top == 0 or (is_jpeg and top <= JPEG_NOISE):
        return Reading(np.zeros(grey.shape, bool), "empty", {})
    if top == 1:
        polyp, kind = grey == 1, "0 and 1"
    elif top <= THRESHOLD:
        raise InputError(
            f"{path}: values {_listed(levels)}, none above {THRESHOLD}; write 255 where a polyp is, else 0"
        )
    else:
        polyp = grey > THRESHOLD
        kind = "0 and 255" if set(levels) <= {0, 255} else "grey rim"
    classes = {"white": int(np.count_nonzero(polyp))}
    if chosen and "white" not in chosen:
        polyp = np.zeros_like(polyp)
    return Reading(polyp, kind, classes, half_tones=counts[GREY].sum() > HALF_TONES * grey.size)


def _from_colours(colours: np.ndarray, chosen: Set[str]) -> Reading:
    hue, saturation, value = cv2.split(cv2.cvtColor(colours, cv2.COLOR_BGR2HSV))
    is_coloured = (value >= COLOURED) & (saturation >= COLOURED)
    sector = 2 + (hue + 15) // 30 % 6  # OpenCV's hue has 180 steps, red is 0
    index = np.where(is_coloured, sector, (value > THRESHOLD).astype(np.uint8))  # 0 is black, 1 white
    counts = np.bincount(index.ravel(), minlength=1 + len(COLOURS))
    found = {name: int(count) for name, count in zip(COLOURS, counts[1:], strict=True) if count}
    taken = [index for index, name in enumerate(COLOURS, 1) if not chosen or name in chosen]
    return Reading(np.isin(index, taken), "colours", found)


def _listed(levels: np.ndarray) -> str:
    return ", ".join(map(str, levels)) if len(levels) <= 5 else f"{levels[0]} … {levels[-1]}"
