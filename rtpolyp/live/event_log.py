"""EventLog: what happened in a live session, one JSON line an event."""

import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from rtpolyp.errors import OutputError
from rtpolyp.live.redact_fields import redact_fields
from rtpolyp.live.worker import Worker

__all__ = ["EventLog"]

log = logging.getLogger(__name__)

WAITING = 4096  # events, about 1 MiB, that may wait for a stuck disk
CLOSE_SECONDS = 0.5


class EventLog:
    """Appends `{"event": …, "monotonic": seconds, "time": UTC, …}` lines to a file; a context manager.

    `write` never waits for the disk. Each line goes out at once, so a killed session leaves whole lines. What
    a stuck disk has no room for is left out, and counted by `{"event": "left out", "events": …}` once it goes
    on. A disk that fails ends the log, with one warning, and not the session. Credentials in URLs are hidden.
    Raises OutputError when the file cannot be opened.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        try:
            self._file = self._path.open("ab", buffering=0)
        except OSError as exc:
            raise OutputError(
                f"{path}: cannot be written ({exc.strerror}); give another path for the log"
            ) from exc
        self._failed = False
        self._left_out = 0  # events, counted by the caller's thread and taken by the worker's
        self._counting = threading.Lock()
        self._worker = Worker("rtpolyp-log", WAITING, self._file.close)

    def write(self, event: str, **fields: object) -> None:
        """Append one event, at this moment; fields are what JSON knows, anything else becomes text."""
        if self._failed:
            return
        line = self._line(event, fields)
        if not self._worker.submit(lambda: self._append(line)):
            with self._counting:
                self._left_out += 1
                is_first = self._left_out == 1
            if is_first:
                log.warning("%s: its disk does not keep up; leaving events out", self._path)

    def _line(self, event: str, fields: Mapping[str, object]) -> bytes:
        wall = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(wall)) + f".{int(wall % 1 * 1000):03d}Z"
        times = {"monotonic": round(time.monotonic(), 4), "time": stamp}
        return json.dumps({"event": event, **times, **redact_fields(fields)}).encode() + b"\n"

    def close(self) -> None:
        """Write what waits and close the file; later calls do nothing."""
        if not self._worker.close(CLOSE_SECONDS):
            self._fail("its disk does not answer")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _append(self, line: bytes) -> None:
        if self._failed:
            return
        rest, size = line, os.fstat(self._file.fileno()).st_size
        try:
            while rest:  # a nearly full disk takes a part and fails at the next
                rest = rest[self._file.write(rest) :]
        except OSError as exc:
            with contextlib.suppress(OSError):
                self._file.truncate(size)  # back to the last whole line
            self._fail(exc.strerror or str(exc))
            return
        with self._counting:
            left_out, self._left_out = self._left_out, 0
        if left_out:
            self._append(self._line("left out", {"events": left_out}))

    def _fail(self, reason: str) -> None:
        if not self._failed:
            self._failed = True
            log.warning("%s: the log ends here (%s); the session goes on", self._path, reason)
