"""Finished cells → the lines of the table: means over seeds, and the gain that fusion brought."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtpolyp.errors import InputError
from rtpolyp.measure.comparison import FrameFigures
from rtpolyp.measure.statistics import mean_and_sd
from train.complexity import size_of
from train.experiment.training import recipe_as_json
from train.networks import NetworkSpec
from train.recipe import recipe_for
from train.table.cells import csv_name, read_cells
from train.table.gains import Gain, gain_of, pair_up
from train.table.paper import ARMS, ROWS
from train.table.protocols import PROTOCOLS
from train.table.rows import read_rows

__all__ = ["Line", "read_lines"]


@dataclass(frozen=True)
class Line:
    """One network on one test part, over its seeds."""

    protocol: str  # key of PROTOCOLS
    test: str  # folder and split
    row: str  # key of paper.ROWS
    arm: str  # of paper.ARMS
    network: str
    encoder: str
    initialisation: str  # random, ImageNet or extra
    side: int  # pixels
    steps: int
    seeds: tuple[int, ...]
    dice: tuple[
        float, float
    ]  # mean and sample standard deviation over the seeds; by the protocol's convention
    iou: tuple[float, float]
    parameters: int
    giga_macs: float  # of one image of `side`, nothing folded
    gain: Gain | None  # in Dice by fusion; None for the plain arm and without a pair
    unlike_paper: tuple[str, ...]  # what forbids to compare this line with the paper's


@dataclass(frozen=True)
class _Run:
    file: Path  # cell.json
    content: dict[str, Any]
    figures: FrameFigures


def read_lines(folder: Path) -> list[Line]:
    """The lines that the finished cells in a table's folder give, plain before IF.

    Raises InputError for broken files, and where cells that would be averaged or compared were trained with
    different settings.
    """
    runs: dict[tuple[str, ...], dict[str, list[_Run]]] = defaultdict(lambda: {arm: [] for arm in ARMS})
    for file, cell in read_cells(folder):
        for test in cell["tests"] if cell["arm"] in ARMS else ():
            run = _Run(file, cell, read_rows(file.with_name(csv_name(test))))
            key = (cell["protocol"], test, cell["row"], cell["network"]["encoder"], cell["initialisation"])
            runs[key][cell["arm"]].append(run)
    lines = []
    for (protocol, test, *_), arms in runs.items():
        _check_alike([run for arm in ARMS for run in arms[arm]])
        for arm in ARMS:
            if arms[arm]:
                gain = _gain(arms) if arm == "IF" else None
                lines.append(_line(protocol, test, arms[arm], gain))
    return lines


def _line(protocol: str, test: str, runs: list[_Run], gain: Gain | None) -> Line:
    cell = runs[0].content
    dice, iou = (
        mean_and_sd([run.figures.values[figure].mean() for run in runs]) for figure in ("dice", "iou")
    )
    side = cell["recipe"]["sizes"][-1][0]
    parameters, giga_macs = size_of(NetworkSpec(**cell["network"]), side)
    return Line(
        protocol=protocol,
        test=test,
        row=cell["row"],
        arm=cell["arm"],
        network=cell["network"]["name"],
        encoder=cell["network"]["encoder"],
        initialisation=cell["initialisation"],
        side=side,
        steps=cell["scored_step"],
        seeds=tuple(sorted(run.content["seed"] for run in runs)),
        dice=dice,
        iou=iou,
        parameters=parameters,
        giga_macs=giga_macs,
        gain=gain,
        unlike_paper=_unlike_paper(protocol, test, cell),
    )


def _gain(arms: dict[str, list[_Run]]) -> Gain | None:
    """The gain over the seeds that both arms have; None without one."""
    plain, fused = ({run.content["seed"]: run.figures for run in arms[arm]} for arm in ARMS)
    pairs = pair_up(fused, plain, "dice")
    return gain_of(pairs) if pairs else None


def _check_alike(runs: list[_Run]) -> None:
    first, *others = ({**run.content["recipe"], "numerics": run.content["numerics"]} for run in runs)
    for run, other in zip(runs[1:], others, strict=True):
        changed = [
            f"{key} {value} → {other.get(key)}"
            for key, value in first.items()
            if key != "seed" and value != other.get(key)
        ]
        if changed:
            raise InputError(
                f"{run.file}: its settings are not those of {runs[0].file}: {', '.join(changed)}. "
                "Move one of them into a table of its own"
            )


def _unlike_paper(protocol: str, test: str, cell: dict[str, Any]) -> tuple[str, ...]:
    """Why the paper's figures are no yardstick, in a word or two each; empty where they are.

    The paper's networks with fusion were trained and scored on random 80/10/10 splits, the plain ones mostly
    by PraNet's protocol; see `train.table.paper`.
    """
    row = ROWS[cell["row"]]
    author = recipe_as_json(recipe_for(cell["row"], "author"))
    reasons = {
        "encoder": cell["network"]["encoder"] != row.encoder,
        "head": cell["network"]["head"] == "conv",
        "initial weights": cell["initialisation"] != row.initialisation,
        "recipe": cell["recipe"] != {**author, "seed": cell["seed"]},
        "protocol": protocol != ("paper" if cell["arm"] == "IF" else row.plain_protocol),
        "split": test not in PROTOCOLS[protocol].columns or "sequence" in test,
    }
    return tuple(reason for reason, applies in reasons.items() if applies)
