"""ArraySource: BGR arrays of any origin as a stream."""

import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.video.colour import BT709, LIMITED, Colour
from rtpolyp.video.contract import Losses
from rtpolyp.video.frame import Frame
from rtpolyp.video.remarks import Remarks
from rtpolyp.video.stream_format import StreamFormat

__all__ = ["ArraySource"]


class ArraySource:
    """Frames `(height, width, 3) uint8 BGR` at a constant rate, as BT.709 in limited range.

    `size` is (width, height) in pixels. Iterating raises InputError on an array of another shape or dtype.
    """

    is_sequence = True
    path: Path | None = None
    audio = None
    frame_count: int | None = None
    duration_seconds: float | None = None
    start_seconds: float | None = None

    def __init__(
        self,
        arrays: Iterable[NDArray[np.uint8]],
        size: tuple[int, int],
        frame_rate: Fraction,
        name: str = "arrays",
    ) -> None:
        self.name, self.size, self.frame_rate = name, size, frame_rate
        self.remarks, self.losses = Remarks(name), Losses()
        self._arrays = arrays
        colour = Colour(matrix=BT709, range=LIMITED, primaries=BT709, transfer=BT709)
        self.format = StreamFormat(size, "yuv420p", colour, 1 / frame_rate, frame_rate, None)

    def __iter__(self) -> Iterator[Frame]:
        expected = (self.size[1], self.size[0], 3)
        for index, array in enumerate(self._arrays):
            if array.shape != expected or array.dtype != np.uint8:
                raise InputError(f"array {index}: {array.shape} {array.dtype}, expected {expected} uint8 BGR")
            yield Frame(
                self._native(array, index),
                index,
                index,
                1 / self.frame_rate,
                time.monotonic(),
                f"{index:06d}",
            )

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _native(self, array: NDArray[np.uint8], index: int) -> av.VideoFrame:
        native = av.VideoFrame.from_ndarray(array, format="bgr24").reformat(
            format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG", interpolation="AREA"
        )
        colour = self.format.colour
        native.colorspace, native.color_range = colour.matrix, colour.range
        native.color_primaries, native.color_trc = colour.primaries, colour.transfer
        native.pts, native.time_base, native.duration = index, 1 / self.frame_rate, 1
        return native
