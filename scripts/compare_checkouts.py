"""Whether one state of the code is slower than another: python scripts/compare_checkouts.py BEFORE AFTER

BEFORE and AFTER are two checkouts (`git worktree add ../before COMMIT`). Both run in the Python environment
that runs this script, on one clip, in turns, so that a machine that drifts slows both; quote the ratios of
the turns. Give both the same bundle under engines/, or two networks are compared.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

from cyclopts import Parameter

from rtpolyp.checks import require_folder
from rtpolyp.errors import BackendError
from rtpolyp.inference.bundle import DEFAULT_BUNDLE
from rtpolyp.inference.processor import this_processor
from rtpolyp.measure.figure_files import write_json
from rtpolyp.phantom_clip import render_clip
from rtpolyp.terminal.command_line import make_app, run_app

RESULT = Path("docs/results/before-and-after.json")
# What both states have had from the first: open_engine and its contract.
ENGINE = """
import sys, time
import numpy as np, rtpolyp
with rtpolyp.open_engine(sys.argv[1], precision="fp32") as engine:
    width, height = engine.spec.size
    frames = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    for turn in range(220):
        if turn == 20:
            start = time.perf_counter()
        engine.submit(frames).result()
    print((time.perf_counter() - start) * 1000 / 200)
"""

app = make_app("python scripts/compare_checkouts.py", __doc__, help_format="plaintext")


class Cost(NamedTuple):
    """What one run of a command took."""

    wall: float  # seconds
    processor: float  # seconds, of all its threads


def call(checkout: Path, *arguments: str) -> tuple[Cost, str]:
    """Run Python on a checkout's own code; what it took, and its standard output."""
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
    start, spent = time.perf_counter(), os.times()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=checkout, env=environment, text=True, capture_output=True
    )
    now = os.times()
    if done.returncode:
        raise BackendError(f"{checkout}: exit code {done.returncode}: {done.stderr.strip()[-300:]}")
    processor = now.children_user + now.children_system - spent.children_user - spent.children_system
    return Cost(time.perf_counter() - start, processor), done.stdout


def engine_ms(checkout: Path, bundle: str) -> float:
    """Milliseconds of one frame by the engine alone."""
    return float(call(checkout, "-c", ENGINE, bundle)[1])


def run_cost(checkout: Path, bundle: str, clip: Path, output: Path) -> Cost:
    """What `rtpolyp run` takes as a whole process, its start included."""
    options = ["--engine", bundle, "--precision", "fp32", "-o", str(output)]
    return call(checkout, "-m", "rtpolyp", "run", str(clip), *options)[0]


def in_turns(
    before: Path, after: Path, rounds: int, measure: Callable[[Path], tuple[float, ...]]
) -> list[list[tuple[float, float]]]:
    """Pairs (before, after) of each figure that `measure` gives, without a first turn, which warms up."""
    turns = [(measure(before), measure(after)) for _ in range(rounds + 1)][1:]
    return [list(pairs) for pairs in zip(*(zip(*turn, strict=True) for turn in turns), strict=True)]


def summary(pairs: list[tuple[float, float]]) -> dict[str, float | list[float]]:
    """Medians, and the ratio after / before: its median over the turns, and each."""
    ratios = [after / before for before, after in pairs]
    return {
        "before": round(statistics.median(before for before, _ in pairs), 3),
        "after": round(statistics.median(after for _, after in pairs), 3),
        "ratio": round(statistics.median(ratios), 3),
        "ratio of each turn": [round(ratio, 3) for ratio in ratios],
    }


def commit_of(checkout: Path) -> str:
    """The short name of the commit that is checked out."""
    return subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=checkout, text=True).strip()


@app.default
def compare_checkouts(
    before: Path,
    after: Path,
    *,
    bundle: str = DEFAULT_BUNDLE,
    seconds: float = 10.0,
    rounds: int = 7,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = RESULT,
) -> None:
    """Measure the engine and `rtpolyp run` of two checkouts in turns.

    Parameters
    ----------
    before
        The checkout that was there first.
    after
        The checkout that is compared with it.
    bundle
        The bundle's name; both checkouts have it.
    seconds
        Length of the 1280x1024 phantom.
    rounds
        Turns of each measurement.
    output
        The report.
    """
    for checkout in (before, after):
        require_folder(checkout)
    with tempfile.TemporaryDirectory() as folder:
        clip, written = Path(folder, "phantom.mp4"), Path(folder, "out.mp4")
        render_clip(clip, seconds=seconds)
        (engine,) = in_turns(before, after, rounds, lambda checkout: (engine_ms(checkout, bundle),))
        wall, processor = in_turns(
            before, after, rounds, lambda checkout: run_cost(checkout, bundle, clip, written)
        )
    report = {
        "command": "python scripts/compare_checkouts.py BEFORE AFTER",
        "before": commit_of(before),
        "after": commit_of(after),
        "processor": this_processor().name,
        "cores": this_processor().cores,
        "bundle": bundle,
        "clip": f"1280x1024 H.264 phantom, {seconds:g} s at 25 frames/s",
        "engine, ms a frame, fp32": summary(engine),
        "rtpolyp run, wall seconds": summary(wall),
        "rtpolyp run, processor seconds": summary(processor),
    }
    write_json(report, output)


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
