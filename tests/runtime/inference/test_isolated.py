"""IsolatedEngine: faults of the engine's process, and how it ends with the program."""

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

from rtpolyp.errors import EngineError, EngineUnavailable, InputError
from rtpolyp.inference import isolated
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.isolated import EngineRecipe, IsolatedEngine
from rtpolyp.inference.stub import StubEngine
from tests.runtime import faulty_engine
from tests.runtime.faulty_engine import Faulty, OpensThen
from tests.runtime.tiny_bundle import red_square

WAIT_SECONDS = 30.0  # for what takes a second on a quiet machine
CLOSE_SECONDS = 2.0  # promised
HANG_ENDS = faulty_engine.HANG_SECONDS - 1.0  # later the hang ends by itself, and nothing is proved
frames = red_square()[np.newaxis]


@pytest.fixture(autouse=True)
def _nothing_stays_in_shared_memory():
    """SharedMemory's names, those of other processes' left out by whose they are."""
    before = shared_memory_names()
    yield
    assert shared_memory_names() <= before


def shared_memory_names() -> set[str]:
    folder = Path("/dev/shm")
    return {path.name for path in folder.glob("psm_*")} if folder.is_dir() else set()


@pytest.fixture
def faulty(bundle: Bundle, tmp_path: Path) -> Callable[..., Faulty]:
    return partial(Faulty, bundle.spec, tmp_path / "starts")


def answer(engine: IsolatedEngine) -> np.ndarray:
    return engine.submit(frames).result(WAIT_SECONDS).probability


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


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
            assert f"tiny: the engine's process {told}" in str(error)
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


PROGRAM = """
import os, signal, sys, time
from functools import partial
import numpy as np
from pathlib import Path
from rtpolyp.inference.isolated import IsolatedEngine
from rtpolyp.inference.stub import StubEngine
from rtpolyp.spec import read_spec
from tests.runtime import faulty_engine

spec = read_spec(Path(sys.argv[1]))
frames = np.zeros((1, 64, 96, 3), np.uint8)

def main():
{body}

{guard}
    main()
"""


def program(bundle: Bundle, tmp_path: Path, body: str, guard: str = 'if __name__ == "__main__":'):
    """A script in a process group of its own, whose output is read."""
    script = tmp_path / "script.py"
    script.write_text(
        PROGRAM.format(body="\n".join(f"    {line}" for line in body.splitlines()), guard=guard)
    )
    return subprocess.Popen(
        [sys.executable, str(script), str(bundle.folder / "spec.json"), str(tmp_path / "starts")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        start_new_session=True,
    )


@pytest.mark.parametrize("fault", ["hang", "hang with the GIL"])
def test_it_ends_with_a_program_that_is_killed(bundle: Bundle, tmp_path: Path, fault: str):
    body = f"""
recipe = faulty_engine.Faulty(spec, Path(sys.argv[2]), {fault!r})
engine = IsolatedEngine(recipe, deadline_seconds=60)
engine.submit(frames)
print(engine._process.pid, flush=True)
time.sleep(60)
"""
    with program(bundle, tmp_path, body) as process:
        pid = int(process.stdout.readline())
        time.sleep(0.1)
        begun = time.monotonic()
        process.kill()
        wait_until(lambda: gone(pid))
        assert time.monotonic() - begun < HANG_ENDS
        assert process.stderr.read() == ""


def test_a_program_that_forgets_to_close_ends(bundle: Bundle, tmp_path: Path):
    body = """
engine = IsolatedEngine(partial(StubEngine, spec))
print(engine._process.pid, flush=True)
"""
    with program(bundle, tmp_path, body) as process:
        out, err = process.communicate(timeout=WAIT_SECONDS)
    assert (process.returncode, err) == (0, "")
    assert gone(int(out))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_is_meant_for_the_program(bundle: Bundle, tmp_path: Path, number: signal.Signals):
    body = f"""
interrupts = []
signal.signal({int(number)}, lambda *_: interrupts.append(1))
print("opening", flush=True)
with IsolatedEngine(partial(StubEngine, spec)) as engine:
    print("open", flush=True)
    while len(interrupts) < 2:
        time.sleep(0.01)
    engine.submit(frames).result(20)
    print("restarts", engine.restarts, flush=True)
"""
    with program(bundle, tmp_path, body) as process:
        assert process.stdout.readline() == "opening\n"
        wait_until(lambda: any("spawn_main" in " ".join(p.cmdline()) for p in children(process.pid)))
        os.killpg(process.pid, number)  # while Python itself starts
        assert process.stdout.readline() == "open\n"
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=WAIT_SECONDS)
    assert (out, err) == ("restarts 0\n", "")


def children(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children()


def test_the_programs_input_is_its_own(bundle: Bundle, tmp_path: Path):
    body = """
with IsolatedEngine(partial(faulty_engine.reads_the_input, spec)):
    print(sys.stdin.read())
"""
    with program(bundle, tmp_path, body) as process:
        out, err = process.communicate("for the program", timeout=WAIT_SECONDS)
    assert (out, err) == ("for the program\n", "")


def test_a_script_without_the_guard_is_told_of_it(bundle: Bundle, tmp_path: Path):
    body = """
try:
    IsolatedEngine(partial(StubEngine, spec))
except Exception as exc:
    print(exc)
    sys.exit(7)
"""
    with program(bundle, tmp_path, body, guard="if True:") as process:
        out, _ = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 7
    assert 'in a script open it under if __name__ == "__main__":' in out.splitlines()[-1]
