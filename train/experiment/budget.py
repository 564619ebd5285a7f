"""A time after which a command ends as if a user had stopped it."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["budget"]


@contextmanager
def budget(minutes: float | None) -> Iterator[Callable[[], bool]]:
    """Within it, SIGTERM comes after so many minutes; never for None.

    Yields a function that tells whether it has.
    """
    spent: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        spent.append(number)
        signal.raise_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGALRM, end)
    if minutes is not None:
        signal.setitimer(signal.ITIMER_REAL, max(1e-3, 60 * minutes))
    try:
        yield lambda: bool(spent)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
