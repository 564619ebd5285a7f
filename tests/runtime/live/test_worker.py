import threading
import time

import pytest

from rtpolyp.live.worker import Worker


def test_jobs_are_done_in_order_and_before_it_closes() -> None:
    done: list[int] = []
    worker = Worker("test", 10, lambda: done.append(-1))
    for number in range(10):
        assert worker.submit(lambda number=number: done.append(number))
    assert worker.close(5.0)
    assert worker.close(5.0)
    assert done == [*range(10), -1]


def test_a_full_or_closed_worker_refuses_at_once() -> None:
    release, started = threading.Event(), threading.Event()
    worker = Worker("test", 2)
    worker.submit(lambda: (started.set(), release.wait(10)))
    assert started.wait(5)
    begun = time.perf_counter()
    assert [worker.submit(lambda: None) for _ in range(4)] == [True, True, False, False]
    assert not worker.close(0.05)
    assert time.perf_counter() - begun < 1
    release.set()
    assert worker.close(5.0)
    assert not worker.submit(lambda: None)


def test_a_job_that_fails_is_told_and_the_next_one_runs(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()
    worker = Worker("test", 2)

    def broken() -> None:
        raise ValueError("a bug")

    worker.submit(broken)
    worker.submit(done.set)
    assert worker.close(5.0)
    assert done.is_set()
    assert "a bug" in caplog.text
