"""Where a cell is trained, and what its run folder tells afterwards."""

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from train.recipe import Recipe

__all__ = ["Machine", "curve", "recipe_as_json", "training_seconds"]


@dataclass(frozen=True)
class Machine:
    """Where and how a cell is trained, see `train.loop.fit`."""

    device: str = "cpu"
    precision: str | None = None
    compiles: bool = False
    save_minutes: float = 5.0


def recipe_as_json(recipe: Recipe) -> dict[str, Any]:
    """The recipe as it comes back from a JSON file: its tuples are lists."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    return plain


def training_seconds(folder: Path) -> float:
    """All steps of the run, over all its interruptions, without validation and checkpoints."""
    steps, paces = curve(folder / "train.csv", "s/step")
    before = [0, *steps]
    return sum((step - start) * pace for start, step, pace in zip(before, steps, paces, strict=False))


def curve(file: Path, figure: str) -> tuple[list[int], list[float]]:
    """Steps and values of one column of a run folder's train.csv or val.csv."""
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [int(row["step"]) for row in rows], [float(row[figure]) for row in rows]
