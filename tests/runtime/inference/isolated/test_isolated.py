"""IsolatedEngine: faults of the engine's process."""

import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from rtpolyp.errors import EngineError, EngineUnavailable, InputError
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.isolated import engine as isolated
from rtpolyp.inference.isolated.engine import EngineRecipe, IsolatedEngine
from tests.runtime import faulty_engine
from tests.runtime.faulty_engine import Faulty, OpensThen
from tests.runtime.processes import WAIT_SECONDS, gone, shared_memory_names, wait_until
from tests.runtime.stub_engine import StubEngine
from tests.runtime.tiny_bundle import red_square

CLOSE_SECONDS = 2.0  # promised
HANG_ENDS = faulty_engine.HANG_SECONDS - 1.0  # later the hang ends by itself, and nothing is proved
frames = red_square()[np.newaxis]


@pytest.fixture(autouse=True)
def _nothing_stays_in_shared_memory():
    """Names of SharedMemory; another program's may be there for the milliseconds in which they are needed."""
    before = shared_memory_names()
    yield
    wait_until(lambda: shared_memory_names() <= before)


@pytest.fixture
def faulty(bundle: Bundle, tmp_path: Path) -> Callable[..., Faulty]:
    return partial(Faulty, bundle.spec, tmp_path / "starts")


def answer(engine: IsolatedEngine) -> np.ndarray:
    return engine.submit(frames).result(WAIT_SECONDS).probability


def test_a_bundle_by_recipe(bundle: Bundle):
    with IsolatedEngine(EngineRecipe(bundle.folder, precision="fp32", size=(64, 32))) as engine:
        assert engine.spec.size == (64, 32)
        assert re.fullmatch(r"openvino fp32, .*, in a process of its own", engine.description)
        small = red_square((64, 32), corner=(40, 4))[np.newaxis]
        found = engine.submit(small).result(WAIT_SECONDS)
    assert found.probability[0, 8:18, 44:54].min() > 200
    assert found.timing.compute > 0


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("raise", "inference failed .the library is unhappy"),
        ("MemoryError", "inference failed .MemoryError"),
        ("out of memory", "inference failed .Unable to allocate 1.00 GiB"),
        ("shape", r"answered uint8 \(1, 63, 96\), expected uint8 \(1, 64, 96\)"),
        ("broadcastable", r"answered uint8 \(1, 1, 1\), expected"),
        ("dtype", r"answered float32 \(1, 64, 96\), expected uint8"),
        ("nothing", "NoneType"),
    ],
)
def test_one_failure_costs_one_frame(faulty, fault: str, told: str):
    with IsolatedEngine(faulty(fault)) as engine:
        error = engine.submit(frames).exception(WAIT_SECONDS)
        assert isinstance(error, EngineError)
        assert re.search(told, str(error))
        assert "\n" not in str(error)
        assert engine.ready
        assert answer(engine)[0, 32, 52] > 200
        assert engine.restarts == 0


def test_failures_in_a_row_start_another_process(faulty):
    with IsolatedEngine(faulty("raise", at=range(1, 100))) as engine:
        for _ in range(isolated.FAILURES):
            assert "unhappy" in str(engine.submit(frames).exception(WAIT_SECONDS))
        wait_until(lambda: engine.restarts == 1)
        assert answer(engine)[0, 32, 52] > 200


@pytest.mark.parametrize(
    ("fault", "badge", "told"),
    [
        ("hang", "no answer", "gave no answer within 0.5 s"),
        ("hang with the GIL", "no answer", "gave no answer within 0.5 s"),
        ("SIGKILL", "SIGKILL", "was killed by SIGKILL (what the system does when memory runs out)"),
        ("SIGSEGV", "SIGSEGV", "was killed by SIGSEGV"),
        ("exit", "exit 3", "ended with exit code 3"),
    ],
)
def test_a_process_that_is_lost_is_started_again(faulty, caplog, fault: str, badge: str, told: str):
    with IsolatedEngine(faulty(fault), deadline_seconds=0.5) as engine:
        pid = engine._process.pid
        begun = time.monotonic()
        for future in [engine.submit(frames) for _ in range(engine.capacity)]:
            error = future.exception(WAIT_SECONDS)
            if error is None:
                continue  # the other slot's, where it was done before
            assert isinstance(error, EngineError)
            assert str(error) == f"tiny: the engine's process {told}"
        assert time.monotonic() - begun < HANG_ENDS
        with pytest.raises(EngineUnavailable, match=re.escape(f"engine restarting ({badge})")):
            engine.submit(frames)
        assert not engine.ready
        wait_until(lambda: engine.ready)
        assert engine.restarts == 1
        assert gone(pid)
        assert answer(engine)[0, 32, 52] > 200
    assert any(told in record.message and "another in 0.2 s" in record.message for record in caplog.records)


def test_crash_after_crash_waits_longer_and_longer(faulty, caplog):
    with IsolatedEngine(faulty("SIGKILL", lives=3)) as engine:
        for crash in range(3):
            wait_until(lambda: engine.ready)
            assert engine.submit(frames).exception(WAIT_SECONDS) is not None
            assert engine.restarts == crash
        wait_until(lambda: engine.ready)
        assert answer(engine)[0, 32, 52] > 200
    pauses = [float(found[1]) for r in caplog.records if (found := re.search(r"in ([\d.]+) s$", r.message))]
    assert pauses == [0.2, 0.4, 0.8]


@pytest.mark.parametrize(
    ("second", "badge"), [("raises", "does not open"), ("another network", "another network")]
)
def test_a_restart_that_fails_is_followed_by_another(bundle: Bundle, tmp_path: Path, caplog, second, badge):
    with IsolatedEngine(OpensThen(bundle.spec, tmp_path / "starts", second)) as engine:
        os.kill(engine._process.pid, signal.SIGKILL)
        wait_until(lambda: engine._outage == f"engine restarting ({badge})")
        wait_until(lambda: engine.ready)
        assert engine.restarts == 1
        assert engine.spec == bundle.spec
        assert answer(engine)[0, 32, 52] > 200
    assert (tmp_path / "starts").stat().st_size == 3


@pytest.mark.parametrize(
    ("recipe", "error", "told"),
    [
        (EngineRecipe("no-such-bundle"), EngineError, "^no-such-bundle: no such bundle; give a folder"),
        (EngineRecipe(size=(100, 100)), InputError, "^size 100x100: give multiples of 32"),
        (faulty_engine.raises_a_foreign_error, EngineError, "does not open .KeyError: 'conv_1'"),
        (
            faulty_engine.dies_while_it_opens,
            EngineError,
            "process ended with exit code 3 before it was ready",
        ),
        (lambda: None, EngineError, "give a recipe that can be pickled"),
    ],
)
def test_what_prevents_the_first_start_is_raised(recipe, error, told: str):
    before = threading.active_count()
    with pytest.raises(error, match=told) as raised:
        IsolatedEngine(recipe)
    assert "\n" not in str(raised.value)
    wait_until(lambda: threading.active_count() == before)


def test_a_first_start_without_end_fails():
    with pytest.raises(EngineError, match="did not open in time before it was ready"):
        IsolatedEngine(faulty_engine.opens_in_a_minute, start_seconds=0.3)


def test_an_engine_that_cannot_run_one_frame_does_not_open(bundle: Bundle):
    with pytest.raises(EngineError, match=r"answered uint8 \(1, 63, 96\)"):
        IsolatedEngine(partial(faulty_engine.never_answers_right, bundle.spec))


def test_close_ends_what_hangs(faulty):
    engine = IsolatedEngine(faulty("hang with the GIL"), deadline_seconds=60)
    pid, future = engine._process.pid, engine.submit(frames)
    begun = time.monotonic()
    engine.close()
    assert time.monotonic() - begun < CLOSE_SECONDS
    assert gone(pid)
    assert "the engine's process was closed" in str(future.exception(0))
    assert not engine.ready
    with pytest.raises(EngineError, match="closed; open it again"):
        engine.submit(frames)


def test_close_during_a_restart(faulty):
    engine = IsolatedEngine(faulty("exit", lives=9))
    assert engine.submit(frames).exception(WAIT_SECONDS) is not None
    begun = time.monotonic()
    engine.close()
    assert time.monotonic() - begun < CLOSE_SECONDS
    assert not engine._watcher.is_alive()


def test_it_outlives_the_thread_that_opened_it(bundle: Bundle):
    """Linux sends PR_SET_PDEATHSIG when the parent's thread ends, not the parent."""
    opened: list[IsolatedEngine] = []
    thread = threading.Thread(target=lambda: opened.append(IsolatedEngine(partial(StubEngine, bundle.spec))))
    thread.start()
    thread.join()
    with opened[0] as engine:
        time.sleep(0.3)
        assert answer(engine)[0, 32, 52] > 200
        assert engine.restarts == 0


def test_its_log_reaches_the_programs_handlers(bundle: Bundle, caplog):
    with IsolatedEngine(partial(faulty_engine.logs_and_opens, bundle.spec)):
        pass
    (record,) = [record for record in caplog.records if record.name == "rtpolyp.elsewhere"]
    assert (record.levelno, record.getMessage()) == (logging.WARNING, "bf16 is absent")


@pytest.mark.skipif(sys.platform != "linux", reason="the score is Linux's")
def test_it_is_the_first_to_go_when_memory_runs_out(bundle: Bundle):
    with IsolatedEngine(partial(StubEngine, bundle.spec)) as engine:
        own, score = (Path(f"/proc/{pid}/oom_score_adj") for pid in (os.getpid(), engine._process.pid))
        assert int(score.read_text()) == 500 > int(own.read_text())
