"""Standard streams that nobody reads: a stopped terminal, a full pipe, a full disk."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator

__all__ = ["PIPE_BYTES", "Streams", "full_disk", "full_pipe", "stopped_terminal", "unread_pipe"]

PIPE_BYTES = 4096

Streams = Callable[[], contextlib.AbstractContextManager[dict[str, int]]]


def full_pipe() -> tuple[int, int]:
    """A pipe whose next byte nobody takes."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"." * PIPE_BYTES)
    os.set_blocking(writing, True)
    return reading, writing


@contextlib.contextmanager
def stopped_terminal() -> Iterator[dict[str, int]]:
    """A terminal that shows what comes until `stop` presses Ctrl-S."""
    ours, theirs = os.openpty()
    try:
        yield {"stdout": theirs, "stderr": theirs, "ours": ours}
    finally:
        os.close(ours)
        os.close(theirs)


@contextlib.contextmanager
def unread_pipe() -> Iterator[dict[str, int]]:
    reading, writing = full_pipe()
    try:
        yield {"stderr": writing}
    finally:
        os.close(reading)
        os.close(writing)


@contextlib.contextmanager
def full_disk() -> Iterator[dict[str, int]]:
    yield {}
