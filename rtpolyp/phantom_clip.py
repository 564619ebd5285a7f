"""render_clip: a phantom as an H.264 file, with the mask of every frame."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtpolyp.phantom import render_phantom
from rtpolyp.video.array_source import ArraySource
from rtpolyp.video.video_sink import VideoSink

__all__ = ["render_clip"]

RATE = Fraction(25)  # frames per second


def _no_stamp(bgr: NDArray[np.uint8], index: int) -> None:
    """The phantom as it is."""


def render_clip(
    path: Path,
    *,
    seconds: float,
    size: tuple[int, int] = (1280, 1024),
    frame_rate: Fraction = RATE,
    seed: int = 0,
    stamp: Callable[[NDArray[np.uint8], int], None] = _no_stamp,
) -> list[NDArray[np.uint8]]:
    """Write a phantom clip as H.264; return its true masks, `(H, W) bool` each, packed by numpy.packbits.

    `stamp` may draw on each picture, `(H, W, 3) uint8 BGR`, whose number from 0 it is told.
    """
    truths: list[NDArray[np.uint8]] = []

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for frame in render_phantom(seconds, size, frame_rate, seed):
            truths.append(np.packbits(frame.mask))
            stamp(frame.bgr, frame.index)
            yield frame.bgr

    source = ArraySource(pictures(), size, frame_rate, path.name)
    with VideoSink(path, source) as sink:
        for frame in source:
            sink.write(frame)
    return truths
