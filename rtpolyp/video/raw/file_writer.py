"""FileWriter: bytes to a disk that may be slow, full or gone."""

import contextlib
import io
import logging
import math
import queue
import threading
import time
from pathlib import Path

from rtpolyp.errors import OutputError
from rtpolyp.video.file_faults import write_error

__all__ = ["FileWriter"]

log = logging.getLogger(__name__)

LIMIT_BYTES = 64 * 1024 * 1024  # that wait for the disk
CLOSE_SECONDS = 0.9  # for what waits to be written in the end: a session ends within 2 s


class FileWriter:
    """Appends chunks to a new file on a thread of its own.

    A chunk is in the file whole or not at all, so that a container stays playable to the end of it. When
    the disk is full or gone, that ends the file with one warning, and `error` says why. Raises OutputError
    where the file cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self.error: OutputError | None = None
        self._path = path
        self._chunks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._taken = self._done = 0  # bytes; each has one writing thread
        self._ended_at = math.inf  # monotonic
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as exc:
            raise write_error(path, exc) from exc
        self._thread = threading.Thread(target=self._run, name="rtpolyp-file", daemon=True)
        self._thread.start()

    @property
    def is_behind(self) -> bool:
        """Whether so much waits for the disk that no more should come."""
        return self._taken - self._done > LIMIT_BYTES

    def put(self, chunk: bytes) -> None:
        """Append a chunk, some time soon."""
        self._taken += len(chunk)
        self._chunks.put(chunk)

    def end(self) -> None:
        """No more chunks come: the file is closed once what waits is written."""
        self._ended_at = min(self._ended_at, time.monotonic())
        self._chunks.put(None)

    def close(self) -> None:
        """Wait for that, which `end` has begun; for a disk that hangs, no longer than 0.9 s from then on."""
        self._thread.join(max(0.0, self._ended_at + CLOSE_SECONDS - time.monotonic()))
        if self._thread.is_alive():
            self._fail("the disk does not answer; the last seconds may be missing")

    def _run(self) -> None:
        with self._file as file:
            while (chunk := self._chunks.get()) is not None:
                if self.error is None:
                    self._append(file, chunk)
                self._done += len(chunk)

    def _append(self, file: io.FileIO, chunk: bytes) -> None:
        whole, rest = self._done, memoryview(chunk)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as exc:
            with contextlib.suppress(OSError):
                file.truncate(whole)
            why = f"cannot be written ({exc.strerror}); the recording ends here and stays playable"
            self._fail(why, exc)

    def _fail(self, why: str, cause: OSError | None = None) -> None:
        error = OutputError(f"{self._path}: {why}")
        error.__cause__ = cause
        self.error = error
        log.warning("%s", error)
