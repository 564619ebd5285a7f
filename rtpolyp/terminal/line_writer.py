"""Text for a terminal or a pipe that nobody may be reading: whoever writes it never waits."""

import contextlib
import io
import logging
import os
import queue
import threading
import time
from collections.abc import Iterator
from logging.handlers import QueueHandler
from typing import Any, TextIO

from rtpolyp.printable import printable

__all__ = ["LineWriter", "LogToWriter", "logging_to"]

CAPACITY = 1000  # texts that may wait
CLOSE_SECONDS = 0.5  # for what waits at the end
RETRY_SECONDS = 0.05  # where the pipe was made non-blocking by whoever shares it


class LineWriter(io.TextIOBase):
    """A text file whose `write` returns at once; a thread passes it on to `stream`, in order.

    When CAPACITY texts wait (a terminal stopped by Ctrl-S, a pipe that nobody reads), further ones are left
    out and counted, and one line says so once there is room. The thread writes to the stream's descriptor
    itself, so that it holds none of Python's locks while it waits.
    """

    def __init__(self, stream: TextIO | None, capacity: int = CAPACITY) -> None:
        self.left_out = 0  # texts, so far
        self._told = 0  # of those
        self._stream = stream
        self._queue: queue.Queue[str | None] = queue.Queue(capacity)
        self._thread = threading.Thread(target=self._run, name="rtpolyp-lines", daemon=True)
        self._thread.start()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # TextIOBase has a plain attribute
        """The stream's own: what a console draws with depends on it."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether the text goes to a terminal."""
        return self._stream is not None and self._stream.isatty()

    def write(self, text: str) -> int:
        """Pass `text` on, or leave it out where too much waits."""
        try:
            self._queue.put_nowait(text)
        except queue.Full:
            self.left_out += 1
        return len(text)

    def close(self) -> None:
        """Wait half a second for what is still to be written; later calls do nothing."""
        if not self.closed:
            deadline = time.monotonic() + CLOSE_SECONDS
            with contextlib.suppress(queue.Full):
                self._queue.put(None, timeout=CLOSE_SECONDS)
                self._thread.join(max(0.0, deadline - time.monotonic()))
        super().close()

    def _run(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # it was closed, or its reader is gone
            while (text := self._queue.get()) is not None:
                self._pass_on(text)
                if (left_out := self.left_out) > self._told:
                    self._pass_on(f"({left_out - self._told} lines left out: nobody read them)\n")
                    self._told = left_out

    def _pass_on(self, text: str) -> None:
        if self._stream is None:  # closed by whoever started the program
            return
        try:
            descriptor = self._stream.fileno()
        except (OSError, ValueError):  # no descriptor: a test's, or a notebook's
            self._stream.write(text)
            return
        rest = text.encode(self.encoding, "backslashreplace")
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                time.sleep(RETRY_SECONDS)


class LogToWriter(QueueHandler):
    """Formats a record where it was logged and hands the line to a LineWriter."""

    queue: Any

    def enqueue(self, record: logging.LogRecord) -> None:
        """As QueueHandler's, without its exception where the queue is full."""
        self.queue.write(f"{record.getMessage()}\n")


class _OneLine(logging.Formatter):
    """A message is one line, whatever names it holds; a bug's traceback follows on its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Formatter's own name and part: the line without the traceback."""
        return printable(super().formatMessage(record))


@contextlib.contextmanager
def logging_to(writer: LineWriter, pattern: str) -> Iterator[None]:
    """Log warnings to `writer` in the form of `pattern`, unless somebody has already set logging up."""
    root = logging.getLogger()
    if root.handlers:
        yield
        return
    handler = LogToWriter(writer)  # type: ignore[arg-type] # it only writes
    handler.setFormatter(_OneLine(pattern))
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.removeHandler(handler)
