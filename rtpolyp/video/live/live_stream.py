"""LiveStream: a feed as a LiveSource."""

import contextlib
import dataclasses
import itertools
import threading
import time
from collections.abc import Iterator
from typing import Self

from rtpolyp.errors import InputError
from rtpolyp.video.contract import Losses, Outage, PacketTap
from rtpolyp.video.frame import Frame
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.live.feed import Feed
from rtpolyp.video.live.format_fitter import FormatFitter
from rtpolyp.video.live.pacer import Pacer
from rtpolyp.video.live.receiver import Receiver
from rtpolyp.video.picture_decoder import gives_no_showing_times
from rtpolyp.video.remarks import Remarks
from rtpolyp.video.stream_format import StreamFormat
from rtpolyp.video.timeline import TIME_BASE

__all__ = ["LiveStream"]


class LiveStream:
    """Frames of a feed on one clock, in the format of the first one, through every loss of the feed.

    Opening waits for the first picture and raises InputError, one line without credentials, when there is
    none. From then on a feed that ends, fails or falls silent is opened again and again, until it is back or
    `interrupt` is called. What cannot be decoded is left out and counted in `losses`.
    """

    is_sequence = True
    frame_count: int | None = None
    duration_seconds: float | None = None
    audio = None  # sound goes to the tap
    start_seconds: float | None = None

    def __init__(self, feed: Feed, options: InputOptions | None = None) -> None:
        self.name, self.path = feed.name, feed.path
        self._stop = threading.Event()
        self._receiver = Receiver(feed, options or InputOptions(), self._stop)
        self._natives = self._receiver.pictures()
        first = next(self._natives, None)
        if first is None:
            raise InputError(f"{self.name}: holds no frame that can be decoded; give another input")
        self._receiver.delivered()
        self._first = first
        self._zero = first.pts or 0  # ticks on the packets' clock
        stream = self._receiver.connection.video
        self.codec: str = stream.codec.canonical_name
        untimed = gives_no_showing_times(self._receiver.connection.container)
        self.hides_order = untimed and bool(stream.codec_context.has_b_frames)
        self.format = dataclasses.replace(
            StreamFormat.of(stream, first, transposed=False), time_base=TIME_BASE
        )
        self.size, self.frame_rate = self.format.size, self.format.frame_rate

    @property
    def tap(self) -> PacketTap | None:
        """Who sees the packets; to be set before iterating."""
        return self._receiver.tap

    @tap.setter
    def tap(self, tap: PacketTap | None) -> None:
        self._receiver.tap = tap

    @property
    def outage(self) -> Outage | None:
        """Why no frames come at present; None while they do."""
        return self._receiver.outage

    @property
    def losses(self) -> Losses:
        """What was lost so far."""
        return self._receiver.losses

    def __iter__(self) -> Iterator[Frame]:
        self._receiver.start_tap(self._zero)
        fit, pacer, last = FormatFitter(self.format), Pacer(self._stop), -1
        usual = round(1 / (self.frame_rate * TIME_BASE)) if self.frame_rate else 1  # ticks between frames
        for index, native in enumerate(itertools.chain([self._first], self._natives)):
            fitted = fit(native)
            untimed = 0 if last < 0 else last + usual
            pts = untimed if fitted.pts is None else fitted.pts - self._zero
            fitted.pts = last = max(pts, last + 1, 0)
            fitted.duration = fitted.duration or usual
            if self._receiver.connection.paced:
                pacer.wait(float(last * TIME_BASE))
            if self._stop.is_set():
                return
            self._receiver.delivered()
            yield Frame(fitted, index, last, TIME_BASE, time.monotonic(), f"{index:06d}")

    @property
    def remarks(self) -> Remarks:
        """What is not as one would expect."""
        return self._receiver.remarks

    def interrupt(self) -> None:
        """Make the iteration end within a second, from any thread."""
        self._stop.set()

    def close(self) -> None:
        """End the iteration and let go of the input; later calls do nothing."""
        self._stop.set()
        with contextlib.suppress(ValueError):  # another thread is in it, and ends it by itself
            self._natives.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
