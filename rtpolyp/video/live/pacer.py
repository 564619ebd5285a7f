"""Pacer: frames at their own pace, where an input gives them faster."""

import threading
import time

__all__ = ["Pacer"]

LATE_SECONDS = 1.0  # who is later than this has been held up: the clock is set anew, nothing is rushed


class Pacer:
    """Holds each frame back until it is due by its pts; the first one sets the clock."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop  # ends a wait
        self._zero: float | None = None  # monotonic, when pts 0 was or would have been due

    def wait(self, pts_seconds: float) -> None:
        """Return when the frame is due, at once where it is late, or when `stop` is set."""
        now = time.monotonic()
        if self._zero is None or now - (self._zero + pts_seconds) > LATE_SECONDS:
            self._zero = now - pts_seconds
        self._stop.wait(max(0.0, self._zero + pts_seconds - now))
