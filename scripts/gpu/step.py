"""A step: a program of its own with a time limit, so that nothing in it can take the other steps along.

It prints a JSON object as its last line; where it fails, its last line on stderr says why.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cyclopts import App, CycloptsError

from rtpolyp.errors import RtpolypError
from rtpolyp.terminal.command_line import PREFIX

__all__ = ["ROOT", "Outcome", "Status", "Step", "run_step", "step_app", "step_main"]

ROOT = Path(__file__).resolve().parents[2]
Status = Literal["passed", "failed", "not run"]
TAIL = 40  # lines of a failed step's output that are kept


@dataclass(frozen=True)
class Step:
    """What to run, and for how long at most."""

    name: str
    command: tuple[str, ...]  # arguments of Python
    seconds: float
    needs: str | None = None  # a step without whose success this one makes no sense
    tells: bool = True  # whether its last line is JSON


@dataclass
class Outcome:
    """What came of a step."""

    name: str
    status: Status
    reason: str = ""  # one line, where it did not pass
    seconds: float = 0.0
    command: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    output: list[str] = field(default_factory=list)  # the end of what a failed step said


def run_step(step: Step, limit: float) -> Outcome:
    """Run a step for its own time or `limit` seconds, whichever is less."""
    allowed = min(step.seconds, limit)
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *step.command],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path, "FAIL_WITHOUT_CUDA": "1"},  # a skipped test proves nothing
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # so that its children end with it
    )
    try:
        said, complained = process.communicate(timeout=allowed)
        late = False
    except subprocess.TimeoutExpired:
        late = True
    finally:
        _end(process)
    if late:
        said, complained = process.communicate()
    outcome = Outcome(step.name, "passed", "", time.monotonic() - start, " ".join(["python", *step.command]))
    outcome.output = [*said.splitlines(), *complained.splitlines()][-TAIL:]
    if late:
        return _failed(outcome, f"took longer than {allowed:.0f} s")
    if process.returncode:
        return _failed(outcome, _reason(said, complained) or f"exit code {process.returncode}")
    if step.tells:
        try:
            outcome.result = json.loads(said.splitlines()[-1])
        except (IndexError, ValueError):
            return _failed(outcome, "printed no result")
    outcome.output = []
    return outcome


def step_app(help_text: str | None) -> App:
    """The command line of a step; its one command returns a JSON object."""
    return App(help=help_text, help_format="plaintext", version_flags=())


def step_main(app: App) -> int:
    """A step's main: its result as the last line, or an error of ours as one line and exit code 2."""
    try:
        result = app(sys.argv[1:], exit_on_error=False, print_error=False, result_action="return_value")
    except (RtpolypError, CycloptsError) as exc:
        print(f"{PREFIX}{exc}", file=sys.stderr)
        return 2
    if result is not None:  # --help has none
        print(json.dumps(result))
    return 0


def _failed(outcome: Outcome, reason: str) -> Outcome:
    outcome.status, outcome.reason = "failed", reason
    return outcome


def _reason(said: str, complained: str) -> str:
    """The last line that says anything, of stderr if there is one, without the prefix of our errors."""
    lines = [line.strip().removeprefix(PREFIX) for line in (complained.strip() or said.strip()).splitlines()]
    return next((line for line in reversed(lines) if line), "")


def _end(process: "subprocess.Popen[str]") -> None:
    """End whatever is left of a step's processes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
