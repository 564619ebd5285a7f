"""A live source that follows a script: frames on time, stalls, outages."""

import dataclasses
import threading
import time
from fractions import Fraction

from rtpolyp.video.array_source import ArraySource
from rtpolyp.video.contract import Losses, Outage
from rtpolyp.video.remarks import Remarks
from tests.runtime.clips import frame_of
from tests.runtime.red_disc import disc

SIZE = (160, 128)
TIME_BASE = Fraction(1, 1000)  # seconds


@dataclasses.dataclass(frozen=True)
class Pause:
    """No frames from `start` on, in seconds after the first frame; with a reason it is told as an outage."""

    start: float
    seconds: float
    reason: str | None = None


class Scripted:
    """Frames of `draw` at `rate` a second for `seconds`, but for the `pauses`; pts by the wall clock."""

    name, path, audio, is_sequence = "scripted", None, None, True
    frame_count = duration_seconds = start_seconds = tap = None
    codec = "rawvideo"
    hides_order = False

    def __init__(self, seconds=4.0, *, rate=20, pauses=(), draw=disc, size=SIZE):
        self.seconds, self.pauses, self.draw, self.size = seconds, pauses, draw, size
        self.frame_rate = Fraction(rate)
        like = ArraySource([], size, self.frame_rate).format
        self.format = dataclasses.replace(like, time_base=TIME_BASE)
        self.outage, self.losses, self.remarks = None, Losses(), Remarks("scripted")
        self.origin = 0.0  # time.monotonic() of the first frame
        self.delivered = []  # captured_at
        self._interrupted = threading.Event()

    def __iter__(self):
        self.origin = time.monotonic()
        for index in range(round(self.seconds * self.frame_rate)):
            due = float(index / self.frame_rate)
            pause = next((p for p in self.pauses if p.start <= due < p.start + p.seconds), None)
            self.outage = Outage(pause.reason, time.monotonic()) if pause and pause.reason else None
            if self._interrupted.wait(max(0.0, self.origin + due - time.monotonic())):
                return
            if pause is None:
                frame = frame_of(self.draw(index, self.size), index=index)
                now = time.monotonic()
                pts = round((now - self.origin) / TIME_BASE)
                frame.native.pts, frame.native.time_base, frame.native.duration = pts, TIME_BASE, 1
                self.delivered.append(now)
                yield dataclasses.replace(frame, pts=pts, time_base=TIME_BASE, captured_at=now)

    def interrupt(self):
        self._interrupted.set()

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
