"""IsolatedEngine and the program around it: how both end, whose signals and input are whose."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rtpolyp.inference.bundle import Bundle
from tests.runtime.faulty_engine import HANG_SECONDS
from tests.runtime.processes import WAIT_SECONDS, gone, shared_memory_names, spawned, wait_until

PROGRAM = """
import os, signal, sys, time
from functools import partial
import numpy as np
from pathlib import Path
from rtpolyp.inference.isolated.engine import IsolatedEngine
from tests.runtime.stub_engine import StubEngine
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
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[4])},
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
    before = shared_memory_names()
    with program(bundle, tmp_path, body) as process:
        pid = int(process.stdout.readline())
        time.sleep(0.1)
        begun = time.monotonic()
        process.kill()
        wait_until(lambda: gone(pid))
        assert time.monotonic() - begun < HANG_SECONDS - 1.0  # the hang alone would last longer
        assert process.stderr.read() == ""
    wait_until(lambda: shared_memory_names() <= before)


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
        wait_until(lambda: len(spawned(process.pid)) == 1)
        os.killpg(process.pid, number)  # while Python itself starts
        assert process.stdout.readline() == "open\n"
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=WAIT_SECONDS)
    assert (out, err) == ("restarts 0\n", "")


def test_an_interrupt_while_the_engine_opens_ends_both(bundle: Bundle, tmp_path: Path):
    body = """
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
try:
    IsolatedEngine(faulty_engine.opens_in_a_minute)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    with program(bundle, tmp_path, body) as process:
        wait_until(lambda: len(spawned(process.pid)) == 1)
        (engine,) = spawned(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=WAIT_SECONDS)
    assert (process.returncode, out, err) == (0, "interrupted\n", "")
    assert gone(engine)


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
