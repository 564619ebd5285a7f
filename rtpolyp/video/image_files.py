"""ImageFiles: one image, or the images of a folder, as a Source."""

import logging
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from rtpolyp.errors import InputError
from rtpolyp.imaging.image_file import (
    IMAGE_SUFFIXES,
    MAX_PIXELS,
    count_pages,
    is_image_name,
    is_turned,
    read_pages,
)
from rtpolyp.video.contract import Losses
from rtpolyp.video.frame import Frame
from rtpolyp.video.frame_normaliser import FrameNormaliser
from rtpolyp.video.remarks import Remarks

__all__ = ["ImageFiles"]

log = logging.getLogger(__name__)


class ImageFiles:
    """Images in natural order of their names (2 before 10); each stands alone and has its own size.

    Every page of a TIFF and frame of an animation is an image. Their pts is their index. A frame's name is
    the image's stem, or its whole name where two share a stem, with the folder where they lie in several and
    a number where a file holds several. Pixels stay in the file's own grid, whatever its EXIF orientation, so
    that they fit their masks. They are those of `path`, a folder or one image, or only `files` of it. Raises
    InputError on an empty folder and, while iterating, on an image that is broken, grey, or larger than
    `max_pixels`.
    """

    is_sequence = False
    format = None
    size = None
    frame_rate = None
    audio = None
    duration_seconds = None
    start_seconds = None

    def __init__(
        self, path: Path, files: Sequence[Path] | None = None, *, max_pixels: int = MAX_PIXELS
    ) -> None:
        self.name, self.path, self._max_pixels = path.name or str(path), path, max_pixels
        self.remarks, self.losses = Remarks(self.name), Losses()
        chosen = files or (_images_in(path) if path.is_dir() else [path])
        self.files = tuple(sorted(chosen, key=_natural))
        self.frame_count = count_pages(self.files[0]) if len(self.files) == 1 else len(self.files)

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        names = _names(self.files)
        turned = [file for file in self.files if is_turned(file)]
        if turned:
            log.warning(
                "%s: an EXIF tag asks to show it turned (%d of %d files); its pixels are taken as they are "
                "stored, so that masks fit the file",
                turned[0],
                len(turned),
                len(self.files),
            )
        for file, name in zip(self.files, names, strict=True):
            for called, still in zip(
                _page_names(file, name, names), read_pages(file, max_pixels=self._max_pixels), strict=True
            ):
                native = _native(still)
                native.pts, native.time_base = index, Fraction(1)
                yield Frame(native, index, index, Fraction(1), time.monotonic(), called, still)
                index += 1

    def close(self) -> None:
        """Nothing is held open between two images."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _images_in(folder: Path) -> list[Path]:
    files = [file for file in folder.iterdir() if is_image_name(file) and file.is_file()]
    if not files:
        kinds = " ".join(sorted(extension[1:] for extension in IMAGE_SUFFIXES))
        raise InputError(f"{folder}: no image in it ({kinds}); give the folder that holds them")
    return files


def _natural(path: Path) -> list[int | str]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", str(path))]


def _names(files: Sequence[Path]) -> list[str]:
    """What each file's frame is called: unique, and the same on file systems that know no case."""
    common = Path(os.path.commonpath([os.path.abspath(file.parent) for file in files]))
    paths = [Path(os.path.abspath(file)).relative_to(common) for file in files]
    names = [path.with_suffix("").as_posix() for path in paths]
    while True:  # a whole name may be another one's stem: at most as many rounds as there are names
        count = Counter(map(str.casefold, names))
        apart = [
            path.as_posix() if count[name.casefold()] > 1 else name
            for name, path in zip(names, paths, strict=True)
        ]
        if apart == names:
            return names
        names = apart


def _page_names(file: Path, name: str, names: Sequence[str]) -> list[str]:
    """The names of a file's pictures: its own, with a number where there are several."""
    count = count_pages(file)
    if count == 1:
        return [name]
    numbered = [f"{name}-{page}" for page in range(1, count + 1)]
    return [f"{file.name}-{page}" if other in names else other for page, other in enumerate(numbered, 1)]


def _native(still: NDArray[np.uint8]) -> av.VideoFrame:
    """The picture as planar 4:2:0 in full range, as a JPEG has it."""
    normaliser = FrameNormaliser(upright=False)
    (normalised,) = normaliser(av.VideoFrame.from_ndarray(still, format="bgr24")) + normaliser.flush()
    return normalised
