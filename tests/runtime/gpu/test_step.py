"""A step ends in time, says why it failed, and takes nothing along."""

import time
from pathlib import Path

import pytest

from rtpolyp.errors import EngineError
from rtpolyp.inference.nvidia_card import Card
from scripts.gpu.cases import CASES, Case
from scripts.gpu.step import Outcome, Step, run_step, step_app, step_main
from scripts.gpu_check import attempt, flavours_for, steps_for


def python(code: str, *, seconds: float = 20.0, tells: bool = True) -> Outcome:
    return run_step(Step("step", ("-c", code), seconds, tells=tells), 60)


def test_the_last_line_is_the_result():
    outcome = python("print('talk'); print('{\"value\": 3}')")
    assert (outcome.status, outcome.result, outcome.output) == ("passed", {"value": 3}, [])
    assert outcome.command.startswith("python -c ")


def test_a_step_that_tells_nothing_passes_by_its_exit_code():
    assert python("print('built')", tells=False).status == "passed"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import sys; print('no card', file=sys.stderr); sys.exit(2)", "no card"),
        ("raise ValueError('wrong\\nby far')", "by far"),
        ("print('3 failed'); raise SystemExit(1)", "3 failed"),
        ("raise SystemExit(7)", "exit code 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "exit code -11"),
        ("print('no JSON')", "printed no result"),
        ("", "printed no result"),
        ("import sys; sys.stderr.buffer.write(b'\\xff\\xfe bytes\\n'); sys.exit(1)", "bytes"),
    ],
)
def test_a_step_that_fails_says_why_in_one_line(code: str, reason: str):
    outcome = python(code)
    assert outcome.status == "failed"
    assert outcome.reason.endswith(reason)
    assert "\n" not in outcome.reason
    assert outcome.result == {}


def test_what_a_failed_step_said_is_kept():
    outcome = python("print('before'); raise ValueError('why')")
    assert outcome.output[0] == "before"
    assert outcome.output[-1] == "ValueError: why"


def test_a_step_that_hangs_is_ended_with_its_children(tmp_path: Path):
    mark = tmp_path / "pid"
    code = (
        "import subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(mark)!r}).write_text(str(child.pid))\n"
        "print('started', flush=True); time.sleep(60)"
    )
    start = time.monotonic()
    outcome = python(code, seconds=2)
    assert time.monotonic() - start < 10
    assert (outcome.status, outcome.reason) == ("failed", "took longer than 2 s")
    assert outcome.output == ["started"]
    child = int(mark.read_text())
    deadline = time.monotonic() + 5
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the child lives on"
        time.sleep(0.05)


def test_a_skipped_test_of_the_card_counts_as_failed_there():
    code = "import json, os; print(json.dumps({'value': os.environ['FAIL_WITHOUT_CUDA']}))"
    assert python(code).result == {"value": "1"}


def test_a_step_needs_what_it_needs():
    built = Outcome("build", "failed", "no room")
    step = Step("plan", ("-c", "print('{}')"), 20, needs="build")
    assert attempt(step, [built], 60).reason == "build: failed"
    assert attempt(step, [Outcome("build", "passed")], 60).status == "passed"
    late = attempt(step, [Outcome("build", "passed")], 0)
    assert (late.status, late.reason) == ("not run", "the time was up")


def test_an_error_of_ours_is_one_line_and_exit_code_2(capsys, monkeypatch):
    app = step_app("A step.")

    @app.default
    def work(*, value: int = 0) -> dict[str, int]:
        if not value:
            raise EngineError("a.engine: refused")
        return {"value": value}

    monkeypatch.setattr("sys.argv", ["step"])
    assert step_main(app) == 2
    assert capsys.readouterr().err == "rtpolyp: a.engine: refused\n"
    monkeypatch.setattr("sys.argv", ["step", "--value", "1"])
    assert step_main(app) == 0
    assert capsys.readouterr().out == '{"value": 1}\n'


def test_all_networks_are_measured_with_every_flavour_that_the_card_takes(tmp_path: Path):
    assert len({case.net for case in CASES}) == 10
    hopper, ada = (Card("card", capability, "13.0", None) for capability in ("sm90", "sm89"))
    assert flavours_for(hopper) == ("tensorrt",)
    assert flavours_for(ada) == flavours_for(None) == ("tensorrt", "tensorrt-rtx")
    names = [step.name for step in steps_for(list(CASES), hopper, "cuda", 1.0, tmp_path)]
    assert names[:2] == ["convolution tensorrt", "convolution tensorrt-rtx"]
    assert len(names) == len(set(names)) == 3 + len(CASES) * 5
    for case in CASES:
        for name in ("pytorch-eager", "pytorch-graph", "onnxruntime"):
            assert f"{name} {case.label}" in names
        assert names.index(f"build {case.label} tensorrt") + 1 == names.index(f"plan {case.label} tensorrt")


def test_a_case_as_options():
    assert Case("pranet-if").build_arguments() == ["--net", "pranet-if"]
    case = Case("pranet", "res2net50", 352)
    assert case.arguments() == ["--net", "pranet", "--encoder", "res2net50", "--side", "352"]
    assert case.build_arguments() == [
        *("--net", "pranet", "--encoder", "res2net50"),
        *("--untrained", "--size", "352"),
    ]
    assert case.label == "pranet res2net50 352"
