"""ThreadedSink: a sink that writes on a thread of its own, so that a slow or full disk holds nobody up."""

import contextlib
import errno
import logging
import os
import queue
import threading
import time
from typing import Self

from rtpolyp.errors import OutputError, RtpolypError
from rtpolyp.live.telemetry import Telemetry
from rtpolyp.video.contract import Sink
from rtpolyp.video.frame import Frame, Segmentation

__all__ = ["ThreadedSink", "short_reason"]

log = logging.getLogger(__name__)

CLOSE_SECONDS = 0.9  # for the frames still queued; ending a session may take two seconds in all
POLL_SECONDS = 0.05  # how soon the thread notices that nothing more will come


class ThreadedSink:
    """A Sink whose `write` returns at once and never raises; it owns `sink`, which only its thread touches.

    Nothing is left out, except when the disk falls more than `capacity` frames behind, which is counted
    and said once, and frames whose pts do not grow, which no container holds. When the sink fails,
    it alone is closed: `error` says why, and later frames are ignored.
    """

    def __init__(self, name: str, sink: Sink, capacity: int, telemetry: Telemetry) -> None:
        self.name = name  # what a person calls it, e.g. the file
        self.error: RtpolypError | None = None  # why nothing is written any more
        self._sink, self._telemetry = sink, telemetry
        self._dropping = False
        self._last_pts: int | None = None
        self._queue: queue.Queue[tuple[Frame, Segmentation | None]] = queue.Queue(capacity)
        self._ending = threading.Event()
        self._close_by: float | None = None  # monotonic; set by the first `close`
        self._thread = threading.Thread(target=self._run, name="rtpolyp-sink", daemon=True)
        self._thread.start()

    def write(self, frame: Frame, segmentation: Segmentation | None) -> None:
        """Queue one frame, whose planes must not change any more."""
        if self.error is not None or (self._last_pts is not None and frame.pts <= self._last_pts):
            return
        try:
            self._queue.put_nowait((frame, segmentation))
        except queue.Full:
            self._telemetry.count("recording_frames_dropped")
            if not self._dropping:
                log.warning("%s: its disk or encoder is too slow; leaving frames out", self.name)
            self._dropping = True
        else:
            self._last_pts = frame.pts

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Write what is queued and finish the output; later calls add no time to the first one's.

        What takes longer than `timeout` seconds is given up, which `error` says.
        """
        self._ending.set()
        if self._close_by is None:
            self._close_by = time.monotonic() + timeout
        self._thread.join(max(0.0, self._close_by - time.monotonic()))
        if self._thread.is_alive() and self.error is None:
            lost = f"not finished in {timeout:g} s, its last frames are lost"
            self._fail(OutputError(f"{self.name}: {lost}; use a faster disk"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self) -> None:
        try:
            while (item := self._next()) is not None:
                self._sink.write(*item)
            self._sink.close()
        except Exception as exc:  # whatever befell the sink, the picture goes on
            self._fail(exc)
            with contextlib.suppress(Exception):
                self._sink.close()

    def _next(self) -> tuple[Frame, Segmentation | None] | None:
        """The next frame; None once none is left to come."""
        while True:
            try:
                return self._queue.get(timeout=POLL_SECONDS)
            except queue.Empty:
                if self._ending.is_set():
                    return None

    def _fail(self, exc: Exception) -> None:
        self._telemetry.count("recordings_failed")
        if isinstance(exc, RtpolypError):
            log.warning("%s", exc)
            self.error = exc
            return
        log.warning("%s: not written any further", self.name, exc_info=exc)
        self.error = OutputError(f"{self.name}: not written any further ({exc!r}); what was written stays")
        self.error.__cause__ = exc


def short_reason(error: BaseException) -> str:
    """Why an output failed, in the few words that a badge has room for."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return "disk full" if cause.errno == errno.ENOSPC else os.strerror(cause.errno).lower()
        cause = cause.__cause__
    return "cannot be written"
