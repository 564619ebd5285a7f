"""together: several endings at once."""

import threading
from collections.abc import Callable, Iterable

__all__ = ["together"]


def together(endings: Iterable[Callable[[], None]]) -> None:
    """Call all at the same time and wait for all; each of them bounds its own time and raises nothing."""
    threads = [threading.Thread(target=ending, name="rtpolyp-ending", daemon=True) for ending in endings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
