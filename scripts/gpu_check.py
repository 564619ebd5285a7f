"""Everything that needs a card, by one command: build, gates, contract suite, bench; docs/results/gpu-….md.

python scripts/gpu_check.py                       # all networks, every flavour that the card takes
python scripts/gpu_check.py --cases 2 --minutes 8 # the shipped network and pranet-if on Res2Net-50
python scripts/gpu_check.py --device cpu --side 64 --seconds 0.2 --cases 2   # a rehearsal without a card

Each step is a process of its own with a time limit. One that fails says why, and the next one runs; what was
found so far is written after each. The exit code is 0 when every step passed, and 1 when one did not.
"""

import re
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, get_args

from cyclopts import Parameter
from rich.console import Console

from rtpolyp.inference.nvidia_card import Card, find_card
from rtpolyp.inference.tensorrt.flavour import FLAVOURS, RTX_CAPABILITIES, Flavour
from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.terminal.command_line import make_app, run_app
from scripts.gpu.baseline import Framework
from scripts.gpu.cases import CASES, Case, Device
from scripts.gpu.report import write_results
from scripts.gpu.step import ROOT, Outcome, Step, run_step

BASELINES = get_args(Framework)
FIRST = 2  # cases that are measured before the contract suite: time may run out
# Seconds a step may take: one that hangs must not use up the time of all others.
CONVOLUTION, BASELINE, SUITE, BUILD, PLAN = 180, 240, 300, 420, 120

console = Console(highlight=False, markup=False, soft_wrap=True)


app = make_app("python scripts/gpu_check.py", __doc__, help_format="plaintext")


@app.default
def main(
    *,
    device: Device = "cuda",
    cases: int = len(CASES),
    only: str = "",
    side: int | None = None,
    seconds: float = 3.0,
    minutes: float = 60.0,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = ROOT / "docs" / "results",
) -> int:
    """Run the steps, print a line for each, write the results.

    Parameters
    ----------
    device
        cpu rehearses the baselines.
    cases
        Only the first so many networks.
    only
        A regular expression: only the steps whose name has it.
    side
        Another input size for the networks with random weights, in pixels.
    seconds
        Of each measurement.
    minutes
        For all; what is left then is not run.
    output
        The folder of the results.
    """
    chosen = [with_side(case, side) for case in CASES[:cases]]
    machine, deadline = this_machine(), time.monotonic() + 60 * minutes
    command = shlex.join(["python", "scripts/gpu_check.py", *sys.argv[1:]])
    outcomes: list[Outcome] = []
    written: list[Path] = []
    with tempfile.TemporaryDirectory() as folder:
        for step in steps_for(chosen, find_card(), device, seconds, Path(folder)):
            if not re.search(only, step.name):
                continue
            outcomes.append(attempt(step, outcomes, deadline - time.monotonic()))
            written = write_results(output, machine, command, chosen, outcomes)
            console.print(line(outcomes[-1]))
    for path in written:
        console.print(f"wrote {path}")
    failed = sum(outcome.status != "passed" for outcome in outcomes)
    console.print(f"{len(outcomes) - failed} of {len(outcomes)} steps passed")
    return int(failed > 0)


def with_side(case: Case, side: int | None) -> Case:
    """A case with random weights, at another size."""
    return case if side is None or case.trained else replace(case, side=side)


def steps_for(
    cases: list[Case], card: Card | None, device: str, seconds: float, plans: Path
) -> Iterator[Step]:
    """All steps, the most telling first."""
    for flavour in FLAVOURS:  # each of them, whether or not it is said to run on this card
        command = ("-m", "scripts.gpu.convolution", "--flavour", flavour)
        yield Step(f"convolution {flavour}", command, CONVOLUTION)
    flavours = flavours_for(card)
    for case in cases[:FIRST]:
        yield from steps_of(case, flavours, device, seconds, plans)
    suite = ("-m", "pytest", "-q", "-m", "needs_cuda", "-p", "no:cacheprovider", "tests/runtime")
    yield Step("contract suite and parity on the card", suite, SUITE, tells=False)
    for case in cases[FIRST:]:
        yield from steps_of(case, flavours, device, seconds, plans)


def flavours_for(card: Card | None) -> tuple[Flavour, ...]:
    """Those that the card takes; without one, all of them, to hear what each says."""
    return FLAVOURS if card is None or card.capability in RTX_CAPABILITIES else ("tensorrt",)


def steps_of(
    case: Case, flavours: tuple[Flavour, ...], device: str, seconds: float, plans: Path
) -> Iterator[Step]:
    """Baselines, then build and measure with each flavour."""
    for backend in BASELINES:
        command = ("-m", "scripts.gpu.baseline", *case.arguments(), "--backend", backend, "--device", device)
        yield Step(f"{backend} {case.label}", (*command, "--seconds", str(seconds)), BASELINE)
    for flavour in flavours:
        folder = plans / case.label.replace(" ", "-") / flavour
        command = (
            "scripts/build_engine.py",
            *case.build_arguments(),
            "--flavour",
            flavour,
            "-o",
            str(folder),
        )
        build = Step(f"build {case.label} {flavour}", command, BUILD, tells=False)
        yield build
        command = ("-m", "scripts.gpu.plan", *case.arguments(), "--engine", str(folder))
        name = f"plan {case.label} {flavour}"
        yield Step(name, (*command, "--seconds", str(seconds)), PLAN, needs=build.name)


def attempt(step: Step, outcomes: list[Outcome], left: float) -> Outcome:
    """Run a step, unless the time is up or what it needs has failed."""
    command = " ".join(["python", *step.command])
    if left <= 0:
        return Outcome(step.name, "not run", "the time was up", command=command)
    needed = next((outcome for outcome in outcomes if outcome.name == step.needs), None)
    if needed is not None and needed.status != "passed":
        return Outcome(step.name, "not run", f"{needed.name}: {needed.status}", command=command)
    return run_step(step, left)


def line(outcome: Outcome) -> str:
    """One line for a person."""
    reason = f": {outcome.reason}" if outcome.reason else ""
    return f"{outcome.status:7} {outcome.seconds:6.1f} s  {outcome.name}{reason}"


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
