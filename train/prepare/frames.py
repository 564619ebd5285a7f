"""One frame of a hospital's folder, checked and written as training and evaluation read it."""

import os
import shutil
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from rtpolyp.dicom.magic import is_dicom
from rtpolyp.errors import InputError
from rtpolyp.imaging.image_file import read_image
from rtpolyp.imaging.mask_doubts import DOUBTS as MASK_DOUBTS
from rtpolyp.imaging.mask_doubts import doubts_of
from rtpolyp.imaging.mask_file import Reading, read_mask_file
from rtpolyp.imaging.near_duplicates import describe
from train.prepare.drawing import draw
from train.prepare.folder import Pair

__all__ = ["Frame", "convert"]

SPECK = 1e-4  # share of the picture; rtpolyp eval does not count smaller regions as polyps


@dataclass(frozen=True)
class Frame:
    """What is kept of a frame; its pixels are on disk."""

    name: str
    size: tuple[int, int]  # width and height in pixels
    polyp_share: float  # of the picture; 0 is a true negative
    kind: str  # of the mask, see rtpolyp.imaging.mask_file
    classes: dict[str, int]  # pixels of each colour or category in the mask
    doubts: tuple[str, ...]  # keys of DOUBTS that hold
    contrast: np.ndarray  # what near-duplicates are found by, see rtpolyp.imaging.near_duplicates


# what is said of a mask that can be read, but should be looked at
DOUBTS = {
    **MASK_DOUBTS,
    "half-tones": "hold much grey, blurred?",
    "speck": "show less than 0.01 % polyp, slips of the brush?",
}


def convert(pair: Pair, out: Path, chosen: Set[str]) -> Frame:
    """Check one pair, link or copy its image into `out/images`, write its mask into `out/masks`.

    `chosen` are the colours or categories that are polyp, all where it is empty. Raises InputError where the
    image or mask is broken or ambiguous, or the mask has another size.
    """
    image = read_image(pair.image)
    height, width = image.shape[:2]
    mask = _mask(pair, (height, width), chosen)
    if mask.polyp.shape != (height, width):
        rows, columns = mask.polyp.shape
        what = pair.annotation if isinstance(pair.annotation, Path) else f"annotation of {pair.image}"
        raise InputError(
            f"{what}: {columns}x{rows}, but the image has {width}x{height}; export it at that size"
        )
    # an empty buffer cannot happen, a full disk raises in write_bytes
    if is_dicom(pair.image):  # the pixels alone: its header names the patient
        png = cv2.imencode(".png", image)[1]
        (out / "images" / f"{pair.name}.png").write_bytes(png.tobytes())
    else:
        _link(pair.image, out / "images" / pair.image.name)
    png = cv2.imencode(".png", mask.polyp.astype(np.uint8) * 255)[1]
    (out / "masks" / f"{pair.name}.png").write_bytes(png.tobytes())
    share = float(mask.polyp.mean())
    doubts = {
        "half-tones": mask.half_tones,
        "speck": 0 < share < SPECK,
    }
    held = (*doubts_of(mask.polyp), *(name for name, holds in doubts.items() if holds))
    return Frame(pair.name, (width, height), share, mask.kind, mask.classes, held, describe(image))


def _mask(pair: Pair, size: tuple[int, int], chosen: Set[str]) -> Reading:
    if pair.annotation is None:
        return Reading(np.zeros(size, bool), "none", {})
    if isinstance(pair.annotation, Path):
        return read_mask_file(pair.annotation, chosen)
    return draw(pair.annotation, chosen)


def _link(source: Path, target: Path) -> None:
    """A hard link takes no space; a copy where the file system has none, or another one holds the source."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
