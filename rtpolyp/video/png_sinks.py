"""MaskSink and ImageSink: one picture file a frame."""

import contextlib
import errno
import os
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError, OutputError
from rtpolyp.imaging.postprocess import rasterise
from rtpolyp.video.contract import Source
from rtpolyp.video.frame import Frame, Segmentation
from rtpolyp.video.output_paths import prepare_file, prepare_folder

__all__ = ["ImageSink", "MaskSink"]

LOSSLESS = (".bmp", ".png", ".tif", ".tiff")
LOSSY = (".jpeg", ".jpg", ".webp")
VIDEO = (".avi", ".mkv", ".mov", ".mp4", ".webm")


class _PictureFiles:
    """A folder of `NAME.png`, NAME being the frame's, or one file where the source is one image.

    The folder is created where it is missing, and a file appears whole or not at all. Raises OutputError when
    the folder or a file cannot be written, InputError when the images themselves lie in the folder, and for
    a file's name where there are several images.
    """

    kinds: tuple[str, ...] = LOSSLESS  # what a single file may be

    def __init__(self, path: str | Path, source: Source) -> None:
        self._path = Path(path)
        suffix = self._path.suffix.lower()
        self._single = suffix in (*LOSSLESS, *LOSSY) and not self._path.is_dir()
        if self._single:
            if source.is_sequence or source.frame_count != 1:
                raise InputError(f"{path}: is a file, and there are several pictures; give a folder")
            if suffix not in self.kinds:
                raise InputError(f"{path}: {suffix} would blur a mask; name it *.png")
            prepare_file(self._path, source)
        elif suffix in VIDEO and not self._path.is_dir():
            raise InputError(f"{path}: images make no video; give a folder, or *.png for one image")
        else:
            prepare_folder(self._path, source)

    def close(self) -> None:
        """Nothing is held open between two frames."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _write(self, frame: Frame, pixels: NDArray[np.uint8]) -> None:
        path = self._path if self._single else self._path / f"{frame.name}.png"
        # imencode and not imwrite, which opens no non-ASCII path on Windows and cannot say what went wrong.
        _, encoded = cv2.imencode(path.suffix, pixels)
        part = path.with_name(f".{path.name}.part")  # a run that is killed leaves no half picture
        try:
            path.parent.mkdir(parents=True, exist_ok=True)  # a name may hold its image's folder
            part.write_bytes(encoded.tobytes())
            os.replace(part, path)
        except OSError as exc:
            with contextlib.suppress(OSError):
                part.unlink()
            remedy = (
                "make room or give another folder" if exc.errno == errno.ENOSPC else "give another folder"
            )
            raise OutputError(f"{path}: cannot be written ({exc.strerror}); {remedy}") from exc


class MaskSink(_PictureFiles):
    """Writes masks for annotators as PNGs of the frame's size, {0, 255}, named as the frames."""

    def write(self, frame: Frame, segmentation: Segmentation | None) -> None:
        """Write the frame's mask: 255 where a pixel's centre lies in a contour; none if not analysed."""
        if segmentation is not None:
            self._write(frame, rasterise(segmentation.polyps, frame.size))


class ImageSink(_PictureFiles):
    """Writes the frames as PNGs, with what was drawn on them, named as the frames."""

    kinds = LOSSLESS + LOSSY

    def write(self, frame: Frame, segmentation: Segmentation | None = None) -> None:
        """Write the frame's picture; what was found in it does not matter here."""
        self._write(frame, frame.to_bgr())
