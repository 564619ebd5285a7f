"""A phantom as an elementary stream, with a counter in each picture."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from rtpolyp.phantom import render_phantom
from rtpolyp.verify.counter import draw_counter

__all__ = ["write_counted_clip"]


def write_counted_clip(path: Path, frames: int, size: tuple[int, int], rate: Fraction) -> None:
    """Encode a phantom as an elementary H.264 stream without B-frames, frame n with the counter n."""
    options = {"preset": "fast", "tune": "zerolatency", "crf": "21", "g": str(round(rate)), "bf": "0"}
    with av.open(path, "w", format="h264") as container:
        video = container.add_stream("libx264", rate=rate, options=options)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        for picture in _pictures(frames, size, rate):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(video.encode(None))


def _pictures(frames: int, size: tuple[int, int], rate: Fraction) -> Iterator[NDArray[np.uint8]]:
    for number, frame in enumerate(render_phantom(float(frames / rate), size, rate)):
        draw_counter(frame.bgr, number)
        yield frame.bgr
