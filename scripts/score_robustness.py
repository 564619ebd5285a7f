"""Score a bundle on degraded test frames: Dice under each harm at three strengths, and what it costs.

python scripts/score_robustness.py [ENGINE] [--part kvasir-test] [--data ../shared/data]

Writes docs/results/robustness-NAME.json and .md. The frames are test frames: nothing is chosen by them.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from rtpolyp.inference import Engine, open_engine
from rtpolyp.inference.bundle import DEFAULT_BUNDLE
from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.measure.dataset import Pair
from rtpolyp.measure.evaluation import Degrade, FrameScore, Progress, evaluate_engine
from rtpolyp.measure.figure_files import write_json, write_text
from rtpolyp.measure.statistics import Interval, bootstrap_difference
from rtpolyp.terminal.command_line import make_app, run_app
from rtpolyp.terminal.console import make_console, progress_bar, say_written
from scripts.shipped.degradations import DEGRADATIONS, Degradation
from scripts.shipped.parts import chosen_parts

LARGEST_DROP = 0.03  # of Dice at the operating point, that a middle strength may cost
POINTS: dict[str, Callable[[FrameScore], float]] = {
    "at the operating point": lambda frame: frame.operating.dice,
    "at 0.5": lambda frame: frame.half.dice,
}

app = make_app("python scripts/score_robustness.py", __doc__)


@dataclass(frozen=True)
class Figure:
    """Dice per image, mean over the frames with a polyp, of degraded frames against the same as they are."""

    dice: float
    drop: float  # clean minus degraded
    interval: Interval | None  # 95 % of the drop, paired, over groups; None with too few of them


@dataclass(frozen=True)
class Score:
    """One harm at one strength."""

    degradation: str
    strength: str
    middle: bool
    figures: dict[str, Figure]  # by POINTS


@dataclass(frozen=True)
class Table:
    """All harms on one test part."""

    frames: int  # with a polyp
    clean: dict[str, float]  # Dice by POINTS
    scores: tuple[Score, ...]  # by DEGRADATIONS, then strength

    @property
    def too_costly(self) -> list[Score]:
        """The harms whose middle strength costs more than LARGEST_DROP at the operating point."""
        point = next(iter(POINTS))
        return [score for score in self.scores if score.middle and score.figures[point].drop > LARGEST_DROP]


@app.default
def main(
    engine: str = DEFAULT_BUNDLE,
    /,
    *,
    part: Annotated[list[str] | None, Parameter(negative="")] = None,
    precision: str = "int8",
    data: Path = Path("../shared/data"),
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("docs/results"),
) -> None:
    """Score, print and write.

    Parameters
    ----------
    engine
        A bundle's name or folder.
    part
        A test part, repeatable: kvasir-test by default.
    precision
        auto, fp32, bf16 or int8; int8 is what the calibration takes on most processors.
    data
        The folder that holds kvasir-seg, cvc-612 and extra.
    output
        Folder of the two files.
    """
    pairs = {name: test.pairs(data) for name, test in chosen_parts(part or ["kvasir-test"]).items()}
    console = make_console()
    with open_engine(engine, precision=precision, optimise_for="throughput") as network:
        spec, description = network.spec, network.description
        tables = {}
        for name in pairs:
            with progress_bar(console, f"frames of {name}") as progress:
                tables[name] = measure(network, pairs[name], DEGRADATIONS, progress)
    text = as_text(f"{spec.name} {spec.digest}, {description}", tables)
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    output.mkdir(parents=True, exist_ok=True)
    written = [output / f"robustness-{spec.name}.{suffix}" for suffix in ("md", "json")]
    write_text(text, written[0])
    report = {
        "command": " ".join(["python scripts/score_robustness.py", *sys.argv[1:]]),
        "bundle": spec.name,
        "digest": spec.digest,
        "sha256": spec.sha256,
        "engine": description,
        "machine": asdict(this_machine()),
        "parts": {name: asdict(table) for name, table in tables.items()},
    }
    write_json(report, written[1])
    say_written(written, console)


def measure(
    engine: Engine, pairs: Sequence[Pair], degradations: Sequence[Degradation], progress: Progress
) -> Table:
    """Score the frames as they are, then under each degradation at each strength."""
    steps = len(pairs) * (1 + sum(len(degradation.strengths) for degradation in degradations))
    done = 0

    def scored(degrade: Degrade | None) -> tuple[list[str], dict[str, list[float]]]:
        nonlocal done
        frames = evaluate_engine(
            engine, pairs, degrade=degrade, progress=lambda count, _: progress(done + count, steps)
        ).with_polyp
        done += len(pairs)
        groups = [frame.pair.group for frame in frames]
        return groups, {point: [dice(frame) for frame in frames] for point, dice in POINTS.items()}

    groups, clean = scored(None)
    scores = []
    for degradation in degradations:
        for strength in degradation.strengths:
            _, degraded = scored(degradation.at(strength))
            figures = {point: _figure(clean[point], degraded[point], groups) for point in POINTS}
            is_middle = strength == degradation.strengths[1]
            scores.append(Score(degradation.name, degradation.label(strength), is_middle, figures))
    return Table(len(groups), {point: float(np.mean(dices)) for point, dices in clean.items()}, tuple(scores))


def as_text(title: str, tables: Mapping[str, Table]) -> str:
    """Markdown: for each part and point a row a degradation, a column a strength, and what costs too much."""
    lines = [f"# Robustness: {title}"]
    for name, table in tables.items():
        for point, clean in table.clean.items():
            lines += ["", f"## {name}, {table.frames} frames: Dice {point}, {clean:.3f} on clean frames", ""]
            lines += ["| degradation | weaker | middle | stronger |", "|---|---|---|---|"]
            by_kind: dict[str, list[str]] = {}
            for score in table.scores:
                cell = f"{score.strength}: {_text(score.figures[point])}"
                by_kind.setdefault(score.degradation, []).append(cell)
            lines += [f"| {kind} | {' | '.join(cells)} |" for kind, cells in by_kind.items()]
        costly = ", ".join(f"{score.degradation} {score.strength}" for score in table.too_costly)
        lines += ["", f"More than {LARGEST_DROP} lost at the middle strength: {costly or 'nothing'}."]
    lines += ["", "Dice (change against clean frames, with its 95 % interval, paired, by group)."]
    return "\n".join(lines) + "\n"


def _figure(clean: Sequence[float], degraded: Sequence[float], groups: Sequence[str]) -> Figure:
    dice = float(np.mean(degraded))
    return Figure(dice, float(np.mean(clean)) - dice, bootstrap_difference(clean, degraded, groups))


def _text(figure: Figure) -> str:
    if figure.interval is None:
        return f"{figure.dice:.3f} ({-figure.drop:+.3f})"
    low, high = -figure.interval.high, -figure.interval.low
    return f"{figure.dice:.3f} ({-figure.drop:+.3f} [{low:+.3f}, {high:+.3f}])"


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
