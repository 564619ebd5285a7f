"""Latest: a mailbox between two threads in which the newest item wins."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Latest"]

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds one item; putting another replaces it, so that neither side ever waits for the other's pace.

    For any number of producers and one consumer that takes items; `peek` is for everybody. `on_drop` is
    called for each item that is replaced before anybody took it.
    """

    def __init__(self, on_drop: Callable[[], None] = lambda: None) -> None:
        self._item: T | None = None
        self._unread = self._closed = False
        self._on_drop = on_drop
        self._changed = threading.Condition()

    def put(self, item: T) -> None:
        """Replace the item at once; after `close`, do nothing."""
        with self._changed:
            if self._closed:
                return
            dropped, self._item, self._unread = self._unread, item, True
            self._changed.notify_all()
        if dropped:
            self._on_drop()

    def get(self, timeout: float | None = None) -> T | None:
        """Take the item once it is there and unread; None after `timeout` seconds, and from `close` on.

        An item that was put before `close` is still given.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not (self._unread or self._closed):
                rest = None if end is None else end - time.monotonic()
                if rest is not None and rest <= 0:
                    return None
                self._changed.wait(rest)
            if not self._unread:
                return None
            self._unread = False
            return self._item

    def peek(self) -> T | None:
        """The newest item, read or not; None before the first."""
        return self._item

    def close(self) -> None:
        """Wake the consumer for good; later calls do nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether nothing will come any more."""
        return self._closed
