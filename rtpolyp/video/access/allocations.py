"""limited_allocations: a bound on what libav allocates in one piece, while it looks at an input."""

import contextlib
import ctypes
import threading
from collections.abc import Iterator

import av

__all__ = ["limited_allocations"]

UNLIMITED = 2**31 - 1  # bytes; libav's own default


class _Limits:
    """The bounds that are wanted at present. libav has one for the whole process, so this is one, too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: list[int] = []  # bytes
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

    def _tell(self) -> None:
        self._set(ctypes.c_size_t(max(self._wanted, default=UNLIMITED)))


_LIMITS = _Limits()


@contextlib.contextmanager
def limited_allocations(limit: int) -> Iterator[None]:
    """libav allocates no more than `limit` bytes in one piece; the largest of several limits counts.

    Streams that come later than a container's tables get decoders that know no limit of pixels. Where they
    declare huge pictures, 6 kB of MPEG-TS took 13 GB and two minutes.
    """
    _LIMITS.add(limit)
    try:
        yield
    finally:
        _LIMITS.remove(limit)
