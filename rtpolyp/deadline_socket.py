"""DeadlineSocket: a sender that gives a byte a second holds neither a thread nor a socket for ever."""

import io
import socket
import time
from collections.abc import Callable
from typing import Any

__all__ = ["DeadlineSocket"]


class DeadlineSocket:
    """What http.client uses of a socket. Its reads wait `timeout` seconds each, and `seconds` together.

    A read that would take longer raises TimeoutError.
    """

    def __init__(self, connection: socket.socket, timeout: float, seconds: float) -> None:
        self._connection, self._timeout = connection, timeout
        self.sendall, self.close = connection.sendall, connection.close
        self.allow(seconds)

    def allow(self, seconds: float) -> None:
        """Begin to count anew."""
        self._deadline = time.monotonic() + seconds

    def makefile(self, mode: str) -> io.BufferedReader:
        """A reader of bytes; there is no other mode."""
        return io.BufferedReader(_File(self._connection.makefile("rb", 0), self._before_read))

    def _before_read(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("too slow")
        self._connection.settimeout(min(self._timeout, left))


class _File(io.RawIOBase):
    def __init__(self, file: Any, before_read: Callable[[], None]) -> None:
        self._file, self._before_read = file, before_read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._before_read()
        size: int | None = self._file.readinto(buffer)
        return size

    def close(self) -> None:
        self._file.close()
        super().close()
