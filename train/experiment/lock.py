"""A lock file that one worker on a checkout holds at a time, on Linux and macOS.

The system frees it when the process ends, however it ends (`flock`).
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rtpolyp.errors import OutputError

__all__ = ["held"]


@contextmanager
def held(lock: Path, *, waits: bool = True) -> Iterator[bool]:
    """Hold a lock file while inside; yields whether it is held, which it always is where this `waits`.

    Missing folders are made. Raises OutputError where the file cannot be made.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        stream = lock.open("a")
    except OSError as exc:
        raise OutputError(f"{lock}: cannot be written ({exc.strerror}). Choose another -o") from exc
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
