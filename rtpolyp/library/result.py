"""Result: what was found in one picture, and the picture."""

import dataclasses
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import BackendError, OutputError
from rtpolyp.imaging.bgr_overlay import draw_on_bgr
from rtpolyp.imaging.geometry import View
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.imaging.postprocess import rasterise
from rtpolyp.imaging.quality import Quality
from rtpolyp.library.pixels import Picture, as_bgr, size_of
from rtpolyp.settings import Settings, Style
from rtpolyp.tracking.alert import Alert
from rtpolyp.video.frame import Frame
from rtpolyp.video.window import Window

if TYPE_CHECKING:
    from supervision import Detections

__all__ = ["Result"]

PICTURE_KINDS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
SHOW_SECONDS = 0.02  # between two looks at the keyboard


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """What was found in one picture.

    It refers to the picture that was given and does not copy it: give a copy where that array is written
    to again before `image`, `draw`, `show` or `save` is called.

    >>> result = model(image)
    >>> result
    <Result of image: 384x288, 1 polyp (0.90)>
    >>> result.probability.shape, result.probability.dtype
    ((288, 384), dtype('float32'))
    >>> result.save("outlined.png")
    """

    polyps: tuple[Polyp, ...]  # largest first
    name: str  # the image's stem, "image" of an array, or the frame's index with six digits
    index: int  # of the frame in its stream, or of the picture in its list, from 0
    pts_seconds: float | None  # presentation time; None of a picture that stands alone
    view: View  # which part of the picture the network saw, and at what size
    settings: Settings  # that it was made with
    quality: Quality | None  # of a stream's frame: clear, blurred, outside or frozen; else None
    alert: Alert | None  # of a stream's frame; None of a picture that stands alone
    _probability: NDArray[np.uint8] = field(repr=False)  # (h, w), 255 = polyp
    _picture: Picture = field(repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the picture in pixels."""
        return size_of(self._picture)

    @property
    def frame(self) -> Frame | None:
        """The frame as it was decoded, with its timestamps, for a VideoSink; None of an array."""
        return self._picture if isinstance(self._picture, Frame) else None

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """The picture `(H, W, 3) uint8 BGR` without an overlay; it is the very array that was given."""
        return as_bgr(self._picture)

    @cached_property
    def probability_map(self) -> NDArray[np.float32]:
        """The network's probability `(h, w) float32` in [0, 1] at its own size, of the part that it saw.

        In a stream it is smoothed over time.
        """
        return self._probability.astype(np.float32) / np.float32(255)

    @property
    def probability(self) -> NDArray[np.float32]:
        """The probability `(H, W) float32` in [0, 1] at the picture's size; 0 outside the crop."""
        width, height = self.size
        crop = self.view.crop
        whole = np.zeros((height, width), np.float32)
        whole[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width] = cv2.resize(
            self.probability_map, (crop.width, crop.height), interpolation=cv2.INTER_LINEAR
        )
        return whole

    @property
    def mask(self) -> NDArray[np.bool_]:
        """All polyps as one mask `(H, W) bool` at the picture's size."""
        return rasterise(self.polyps, self.size).astype(np.bool_)

    def draw(self, style: Style | None = None) -> NDArray[np.uint8]:
        """A new `(H, W, 3) uint8 BGR` with the polyps drawn in `style`: "outline", "fill" or "box".

        Pixels that the drawing does not touch stay as they are. Without `style` it is that of the settings.
        Raises InputError on an unknown style.

        >>> drawn = model(image).draw(style="box")
        >>> drawn.shape == image.shape, int((drawn != image).any(axis=2).sum()) > 0
        (True, True)
        """
        settings = dataclasses.replace(self.settings, overlay=True, style=style or self.settings.style)
        return draw_on_bgr(self.image, self.polyps, settings)

    def show(self, title: str | None = None) -> None:
        """Show the picture with its polyps in a window until a key is pressed or the window is closed.

        For the program's main thread. Raises BackendError where there is no display. In a notebook a result
        shows itself when it is the last line of a cell.
        """
        drawn = self.draw()
        with Window(title or self.name) as window:
            while window.show(drawn) is None:
                time.sleep(SHOW_SECONDS)

    def save(self, path: str | Path, style: Style | None = None) -> None:
        """Write the picture with its polyps as PNG, JPEG, WebP, BMP or TIFF, by the name's ending.

        Raises OutputError when the ending is another one or the file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() not in PICTURE_KINDS:
            kinds = " ".join(kind[1:] for kind in PICTURE_KINDS)
            raise OutputError(f"{path}: a picture's name ends in one of {kinds}; rename it")
        _, encoded = cv2.imencode(path.suffix, self.draw(style))
        try:
            path.write_bytes(encoded.tobytes())
        except OSError as exc:
            raise OutputError(f"{path}: cannot be written ({exc.strerror}); give another path") from exc

    def to_supervision(self) -> "Detections":
        """The polyps as `supervision.Detections`: xyxy, mask, confidence, class 0 "polyp", tracker_id.

        Raises BackendError where the optional package `supervision` is not installed.
        """
        try:
            from supervision import Detections
        except ImportError as exc:
            raise BackendError("to_supervision needs supervision: pip install supervision") from exc
        if not self.polyps:
            return Detections.empty()
        boxes = [polyp.box for polyp in self.polyps]
        tracks = [polyp.track for polyp in self.polyps]
        return Detections(
            xyxy=np.array([(b.x, b.y, b.x + b.width, b.y + b.height) for b in boxes], np.float32),
            mask=np.stack([polyp.mask for polyp in self.polyps]),
            confidence=np.array([polyp.confidence for polyp in self.polyps], np.float32),
            class_id=np.zeros(len(boxes), np.int64),
            tracker_id=None if None in tracks else np.array(tracks, np.int64),
            data={"class_name": np.array(["polyp"] * len(boxes))},
        )

    def __repr__(self) -> str:
        confidences = ", ".join(f"{polyp.confidence:.2f}" for polyp in self.polyps)
        count = f"{len(self.polyps)} polyp{'s' * (len(self.polyps) != 1)}"
        found = f"{count} ({confidences})" if self.polyps else "no polyp"
        when = "" if self.pts_seconds is None else f" at {self.pts_seconds:.3f} s"
        return f"<Result of {self.name}{when}: {self.size[0]}x{self.size[1]}, {found}>"

    def _repr_png_(self) -> bytes:
        """What a notebook shows: the picture with its polyps."""
        _, encoded = cv2.imencode(".png", self.draw())
        return encoded.tobytes()
