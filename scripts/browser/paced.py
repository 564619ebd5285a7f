"""A live source that draws a counter into each picture and notes when it gave it."""

import dataclasses
import threading
import time
from collections.abc import Iterator
from fractions import Fraction

import av

from rtpolyp.phantom import render_phantom
from rtpolyp.verify.counter import draw_counter
from rtpolyp.video.array_source import ArraySource
from rtpolyp.video.contract import Losses, Outage, PacketTap
from rtpolyp.video.frame import Frame
from rtpolyp.video.remarks import Remarks

__all__ = ["Paced"]

PICTURES = 8  # of the phantom, again and again: what is measured is not how long it takes to draw one
TIME_BASE = Fraction(1, 90_000)  # seconds


class Paced:
    """`seconds` of the phantom at `rate` frames a second."""

    name, path, audio, codec, is_sequence = "phantom", None, None, "rawvideo", True
    frame_count = duration_seconds = start_seconds = None

    def __init__(self, size: tuple[int, int], rate: float, seconds: float) -> None:
        self.size, self.frame_rate, self.seconds = size, Fraction(round(1000 * rate), 1000), seconds
        drawn = ArraySource(
            (one.bgr for one in render_phantom(PICTURES / 2, size, Fraction(2), 0)), size, self.frame_rate
        )
        self.format = dataclasses.replace(drawn.format, time_base=TIME_BASE)
        self._pictures = list(drawn)
        self.captured: dict[int, float] = {}  # time.time() by counter
        self.tap: PacketTap | None = None
        self.outage: Outage | None = None
        self.losses, self.remarks = Losses(), Remarks(self.name)
        self._interrupted = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        begun = time.monotonic()
        for index in range(round(self.seconds * self.frame_rate)):
            if self._interrupted.wait(max(0.0, begun + index / float(self.frame_rate) - time.monotonic())):
                return
            frame, (luma, _, _) = self._pictures[index % len(self._pictures)].writable()
            draw_counter(luma, index)
            now = time.monotonic()
            self.captured[index] = time.time()
            pts = round((now - begun) / TIME_BASE)
            native: av.VideoFrame = frame.native
            native.pts, native.time_base, native.duration = pts, TIME_BASE, 1
            yield dataclasses.replace(
                frame, index=index, pts=pts, time_base=TIME_BASE, captured_at=now, name=f"{index:06d}"
            )

    def interrupt(self) -> None:
        """End the iteration."""
        self._interrupted.set()

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> "Paced":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
