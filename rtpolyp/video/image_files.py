"""ImageFiles: one image, or the images of a folder, as a Source."""

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
from typing_extensions import Self

from rtpolyp.errors import InputError
from rtpolyp.video.contract import Losses
from rtpolyp.video.frame import Frame
from rtpolyp.video.frame_normaliser import FrameNormaliser
from rtpolyp.video.remarks import Remarks

__all__ = ["IMAGES", "ImageFiles"]

IMAGES = frozenset([".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"])
GREY = ("gray", "ya8", "ya16", "mono")  # how libav's grey formats begin


class ImageFiles:
    """Images in natural order of their names (2 before 10); each stands alone and has its own size.

    Their pts is their index. A frame's name is the image's stem, or its whole name where two share a stem.
    Pixels stay in the file's own grid, whatever its EXIF orientation, so that they fit their masks.
    They are those of `path`, a folder or one image, or only `files` of it. Raises InputError on an empty
    folder and, while iterating, on an image that is broken, grey, or deeper than 8 bits.
    """

    is_sequence = False
    format = None
    size = None
    frame_rate = None
    audio = None
    duration_seconds = None
    start_seconds = None

    def __init__(self, path: Path, files: Sequence[Path] | None = None) -> None:
        self.name, self.path = path.name or str(path), path
        self.remarks, self.losses = Remarks(self.name), Losses()
        chosen = files or (_images_in(path) if path.is_dir() else [path])
        self._files = sorted(chosen, key=_natural)
        self.frame_count = len(self._files)

    def __iter__(self) -> Iterator[Frame]:
        stems = Counter(file.stem for file in self._files)
        for index, file in enumerate(self._files):
            native = _read(file)
            native.pts, native.time_base = index, Fraction(1)
            name = file.stem if stems[file.stem] == 1 else file.name
            yield Frame(native, index, index, Fraction(1), time.monotonic(), name)

    def close(self) -> None:
        """Nothing is held open between two images."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _images_in(folder: Path) -> list[Path]:
    files = [file for file in folder.iterdir() if file.suffix.lower() in IMAGES and file.is_file()]
    if not files:
        kinds = " ".join(sorted(extension[1:] for extension in IMAGES))
        raise InputError(f"{folder}: no image in it ({kinds}); give the folder that holds them")
    return files


def _natural(path: Path) -> list[int | str]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", str(path))]


def _read(path: Path) -> av.VideoFrame:
    """Decode one image to 8-bit planar 4:2:0; a JPEG in 4:2:0 keeps its very samples."""
    try:
        # An open file, not its name: libav would take a % in it for a numbered sequence.
        with path.open("rb") as file, av.open(file, "r") as container:
            native = next(container.decode(video=0))
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror}); check the path and its rights") from exc
    except (av.FFmpegError, StopIteration, IndexError) as exc:
        raise InputError(f"{path}: not an image that can be decoded; copy or export it again") from exc
    pixels = native.format
    if pixels.name.startswith(GREY):
        raise InputError(
            f"{path}: grey ({pixels.name}), and the network needs colour; give the original, not a mask"
        )
    if max(component.bits for component in pixels.components) > 8:
        raise InputError(f"{path}: more than 8 bits a channel ({pixels.name}); convert it to 8-bit RGB")
    normaliser = FrameNormaliser(upright=False)
    (normalised,) = normaliser(native) + normaliser.flush()
    return normalised
