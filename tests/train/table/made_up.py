"""Finished cells of the design with scores that were drawn, not trained."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from train.experiment.files import replace_text, write_compact_json
from train.table.cells import SCHEMA, Cell, csv_name, settings_of
from train.table.design import RANDOM, designed_cells
from train.table.number_format import FLOAT32

IMAGES = 30
ARM_SHIFTS = {"plain": 0.0, "IF": 0.01, "sum": 0.004, "weights": 0.006, "wide": 0.001}


def shift_of(cell: Cell) -> float:
    return ARM_SHIFTS[cell.arm]


def write_cells(folder: Path, count: int, shift: Callable[[Cell], float] = shift_of) -> list[Cell]:
    """The first cells of the queue as `run_cell` leaves them; an arm's Dice lies `shift` above plain's."""
    cells = designed_cells(Path("data"))[:count]
    for cell in cells:
        (source,) = cell.sources
        # image and pair share what arms differ around
        shared = np.random.default_rng([cell.recipe.seed, len(cell.row)]).uniform(0.6, 0.95, IMAGES)
        own = np.random.default_rng([cell.recipe.seed, len(cell.row), len(cell.arm)]).normal(0, 0.01, IMAGES)
        dice = np.clip(shared + own + shift(cell), 0, 1)
        groups = [f"sequence {index // 3}" if source.name == RANDOM else "" for index in range(IMAGES)]
        rows = [
            f"image{index:02},{group},{one:.5f},{one / (2 - one):.5f}"
            for index, (group, one) in enumerate(zip(groups, dice, strict=True))
        ]
        replace_text(
            folder / cell.name / csv_name(source.name), "\n".join(["name,group,dice,iou", *rows, ""])
        )
        content = {
            "schema": SCHEMA,
            **settings_of(cell),
            "numerics": asdict(FLOAT32),
            "tests": {source.name: {"frames": IMAGES, "dice": float(dice.mean()), "iou": 0.5}},
            "loss": {"step": [100, 250, 500], "value": [2.5, 1.0, 0.5]},
            "training_seconds": 600.0,
            "processor": "a processor",
            "torch": "2.14.1",
        }
        write_compact_json(content, folder / cell.name / "cell.json")
    return cells
