"""MaskSink and ImageSink: one PNG a frame."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from rtpolyp.errors import OutputError
from rtpolyp.imaging.postprocess import rasterise
from rtpolyp.video.contract import Source
from rtpolyp.video.frame import Frame, Segmentation
from rtpolyp.video.output_paths import prepare_folder

__all__ = ["ImageSink", "MaskSink"]


class _PngFolder:
    """A folder of `NAME.png`, NAME being the frame's; created where it is missing.

    Raises OutputError when the folder or a file cannot be written, InputError when the images themselves
    lie in the folder.
    """

    def __init__(self, folder: str | Path, source: Source) -> None:
        self._folder = Path(folder)
        prepare_folder(self._folder, source)

    def close(self) -> None:
        """Nothing is held open between two frames."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _write_png(self, frame: Frame, pixels: NDArray[np.uint8]) -> None:
        path = self._folder / f"{frame.name}.png"
        # imencode and not imwrite, which opens no non-ASCII path on Windows and cannot say what went wrong.
        _, encoded = cv2.imencode(".png", pixels)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)  # a name may hold its image's folder
            path.write_bytes(encoded.tobytes())
        except OSError as exc:
            raise OutputError(
                f"{path}: cannot be written ({exc.strerror}); make room or give another folder"
            ) from exc


class MaskSink(_PngFolder):
    """Writes masks for annotators as PNGs of the frame's size, {0, 255}, named as the frames."""

    def write(self, frame: Frame, segmentation: Segmentation | None) -> None:
        """Write the frame's mask: 255 where a pixel's centre lies in a contour; none if not analysed."""
        if segmentation is not None:
            self._write_png(frame, rasterise(segmentation.polyps, frame.size))


class ImageSink(_PngFolder):
    """Writes the frames as PNGs, with what was drawn on them, named as the frames."""

    def write(self, frame: Frame, segmentation: Segmentation | None = None) -> None:
        """Write the frame's picture; what was found in it does not matter here."""
        self._write_png(frame, frame.to_bgr())
