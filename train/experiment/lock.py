"""A lock file that workers on one checkout hold in turns, on Linux and macOS."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rtpolyp.errors import OutputError

__all__ = ["held"]


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """Hold a lock file while inside, after whoever holds it; raises OutputError where it cannot be made."""
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        stream = lock.open("a")
    except OSError as exc:
        raise OutputError(f"{lock}: cannot be written ({exc.strerror}). Choose another -o") from exc
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # until the stream is closed
        yield
