"""Worker and run_together: jobs that may take long, away from the picture."""

import logging
import queue
import threading
from collections.abc import Callable, Iterable

__all__ = ["Worker", "run_together"]

log = logging.getLogger(__name__)


class Worker:
    """Does jobs one after another on a thread of its own, so that whoever gives them never waits."""

    def __init__(self, name: str, capacity: int, finish: Callable[[], None] | None = None) -> None:
        """`capacity` jobs may wait; `finish` comes after the last one, however late that is."""
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(capacity + 1)  # one for the end
        self._capacity = capacity
        self._finish = finish
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], None]) -> bool:
        """Queue a job; False, and nothing done, when too many wait already or the worker is closed."""
        if self._closed or self._queue.qsize() >= self._capacity:
            return False
        self._queue.put_nowait(job)
        return True

    def close(self, timeout: float) -> bool:
        """Take no more jobs and do those that wait; False when they take longer than `timeout` seconds."""
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            self._do(job)
        if self._finish is not None:
            self._do(self._finish)

    def _do(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception:  # a bug in one job: the next may still work
            log.exception("%s failed", self._thread.name)


def run_together(jobs: Iterable[Callable[[], None]]) -> None:
    """Call all at the same time and wait for all; each of them bounds its own time and raises nothing."""
    threads = [threading.Thread(target=job, name="rtpolyp-ending", daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
