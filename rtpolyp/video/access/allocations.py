"""limited_allocations: a bound on what libav allocates while it looks at an input, each time and in all."""

import contextlib
import ctypes
import threading
from collections.abc import Iterator

import av

from rtpolyp.resident import resident_bytes

__all__ = ["limited_allocations"]

UNLIMITED = 2**31 - 1  # bytes; libav's own default
# More than the process had before; one stream of 8K with 16 reference pictures takes 0.9 GB.
MOST_BYTES = 3 << 29
SCARCE = 4 << 20  # bytes in one piece from then on: no plane of 8K, and all that a recording of 1080p takes
POLL_SECONDS = 0.01


class _Limits:
    """The bounds that are wanted at present. libav has one for the whole process, so this is one, too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: list[int] = []  # bytes
        self._scarce = 0  # inputs that have taken too much
        # A library's handle finds what it is linked to, but not on Windows: there is no bound there.
        self._set = getattr(ctypes.CDLL(av.packet.__file__), "av_max_alloc", lambda limit: None)

    def add(self, limit: int) -> None:
        with self._lock:
            self._wanted.append(limit)
            self._tell()

    def remove(self, limit: int) -> None:
        with self._lock:
            self._wanted.remove(limit)
            self._tell()

    def make_scarce(self, by: int) -> None:
        with self._lock:
            self._scarce += by
            self._tell()

    def _tell(self) -> None:
        self._set(ctypes.c_size_t(SCARCE if self._scarce else max(self._wanted, default=UNLIMITED)))


_LIMITS = _Limits()


@contextlib.contextmanager
def limited_allocations(limit: int) -> Iterator[None]:
    """libav allocates no more than `limit` bytes in one piece; the largest of several limits counts.

    Once the process has grown by MOST_BYTES meanwhile, as far as the system tells, no more than SCARCE.
    Streams that come later than a container's tables get decoders that know no limit of pixels. Where they
    declare huge pictures, 6 kB of MPEG-TS took 13 GB and two minutes; 15 such streams of 8K took 4.2 GB.
    """
    over = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(over, resident_bytes()), name="rtpolyp-memory", daemon=True
    )
    _LIMITS.add(limit)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        _LIMITS.remove(limit)


def _watch(over: threading.Event, before: int) -> None:
    while not over.wait(POLL_SECONDS):
        if resident_bytes() - before > MOST_BYTES:
            _LIMITS.make_scarce(1)
            over.wait()
            _LIMITS.make_scarce(-1)
            return
