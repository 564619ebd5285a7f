"""ImageFiles: one image, or the images of a folder, as a Source."""

import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import LEAST
from rtpolyp.imaging.image_file import MAX_PIXELS, count_pages, is_turned, read_pages
from rtpolyp.imaging.picture_names import IMAGE_SUFFIXES, is_image_name, stem_of, unread_pictures
from rtpolyp.video.contract import Losses
from rtpolyp.video.frame import Frame
from rtpolyp.video.frame_normaliser import FrameNormaliser
from rtpolyp.video.remarks import Remarks
from rtpolyp.video.video_names import VIDEO_FILES

__all__ = ["ImageFiles"]


class ImageFiles:
    """Images in natural order of their names (2 before 10); each stands alone and has its own size.

    Every page of a TIFF and frame of an animation is an image. Their pts is their index. A frame's name is
    the image's stem, or its whole name where two share a stem, with the folder where they lie in several and
    a number where a file holds several. Pixels stay in the file's own grid, whatever its EXIF orientation, so
    that they fit their masks. They are those of `path`, a folder or one image, or only `files` of it. Raises
    InputError on an empty folder and, while iterating over a single file, where it is broken, grey, or larger
    than `max_pixels`; of several such a file is left out, and `skipped` says why.
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
        self.names = tuple(_names(self.files))  # of their frames; pages add a number
        self.frame_count = count_pages(self.files[0]) if len(self.files) == 1 else len(self.files)
        self.skipped: list[str] = []  # a line for each image that cannot be read
        for file in () if files else _unread_in(path):
            self._skip(f"{file}: pictures of the kind {file.suffix} are not read; convert it to PNG or JPEG")
        videos = [] if files else _videos_in(path)
        if videos:
            self.remarks.say(
                f"{len(videos)} of its files are videos and left out, e.g. {videos[0].name}; run each by "
                "itself, or all by rtpolyp batch"
            )
        self._done: AbstractSet[str] = frozenset()

    def leave_out(self, done: AbstractSet[str]) -> None:
        """Give no frame whose name is in `done`; those that are given keep their index."""
        self._done = done
        self.frame_count -= sum(name in done for name in self.names)

    def __iter__(self) -> Iterator[Frame]:
        self._say_turned()
        index = 0
        for file, name in zip(self.files, self.names, strict=True):
            called = _page_names(file, name, self.names)
            try:
                if not self._done >= set(called):
                    for number, still in enumerate(read_pages(file, max_pixels=self._max_pixels)):
                        if called[number] not in self._done:
                            _check_least(file, still)
                            yield _frame(still, index + number, called[number])
            except InputError as exc:
                if len(self.files) == 1:
                    raise
                self._skip(str(exc))
            index += len(called)

    def _skip(self, line: str) -> None:
        self.skipped.append(line)
        self.remarks.note(line)

    def _say_turned(self) -> None:
        turned = [file for file in self.files if is_turned(file)]
        if turned:
            count = f"{len(turned)} of {len(self.files)} files"
            self.remarks.say(
                f"an EXIF tag asks to show {turned[0].name} turned ({count}); "
                "pixels are taken as they are stored, so that masks fit the file"
            )

    def close(self) -> None:
        """Nothing is held open between two images."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _check_least(file: Path, still: NDArray[np.uint8]) -> None:
    height, width = still.shape[:2]
    if min(width, height) < LEAST:
        raise InputError(
            f"{file}: a picture of {width}x{height} pixels, and {LEAST}x{LEAST} are the least; "
            "give a larger one"
        )


def _images_in(folder: Path) -> list[Path]:
    named = filter(is_image_name, folder.iterdir())
    files = [file for file in named if file.is_file() or _is_dead_link(file)]
    if not files and (videos := _videos_in(folder)):
        raise InputError(
            f"{folder}: no image in it, but videos; give one of them, e.g. {videos[0]}, or the folder to "
            "rtpolyp batch"
        )
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
    names = [path.with_name(stem_of(path)).as_posix() for path in paths]
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


def _videos_in(path: Path) -> list[Path]:
    files = sorted(path.iterdir()) if path.is_dir() else []
    return [file for file in files if file.suffix.lower() in VIDEO_FILES and not file.name.startswith(".")]


def _unread_in(path: Path) -> list[Path]:
    return unread_pictures(path) if path.is_dir() else []


def _frame(still: NDArray[np.uint8], index: int, name: str) -> Frame:
    native = _native(still)
    native.pts, native.time_base = index, Fraction(1)
    return Frame(native, index, index, Fraction(1), time.monotonic(), name, still)


def _native(still: NDArray[np.uint8]) -> av.VideoFrame:
    """The picture as planar 4:2:0 in full range, as a JPEG has it."""
    normaliser = FrameNormaliser(upright=False)
    (normalised,) = normaliser(av.VideoFrame.from_ndarray(still, format="bgr24")) + normaliser.flush()
    return normalised


def _is_dead_link(file: Path) -> bool:
    """Whether it leads nowhere: an image that cannot be read, and to be named."""
    return file.is_symlink() and not file.exists()
