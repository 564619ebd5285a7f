"""The log of the sealed hospital: who looked at it, with which weights, and what was seen."""

import csv
import datetime
from pathlib import Path
from typing import Any

from rtpolyp.errors import InputError
from rtpolyp.measure.figure_files import append_row
from rtpolyp.printable import from_cell
from train.experiment.lock import held

__all__ = ["check_unopened", "log_opening"]


def check_unopened(log: Path, fold: str, recipe: str, seed: int) -> None:
    """Raise InputError where the log says that this recipe and seed have been scored before."""
    if opened := _opening(log, fold, recipe, seed):
        raise InputError(
            f"{log}: {fold} was scored with recipe {recipe}, seed {seed}, on {opened['date']}. "
            "It is scored once"
        )


def log_opening(log: Path, cell: dict[str, Any]) -> None:
    """Append the scores of a finished cell, unless they are there. Raises OutputError where that fails."""
    with held(log.with_name(f"{log.name}.lock")):
        if not _opening(log, cell["fold"], cell["label"], cell["seed"]):
            append_row(_row(cell), log)


def _row(cell: dict[str, Any]) -> dict[str, object]:
    figures = cell["scores"]["figures"]
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "fold": cell["fold"],
        "recipe": cell["label"],
        "seed": cell["seed"],
        "checkpoint_sha256": cell["checkpoint_sha256"],
        "dice": f"{figures['at_half']['dice']:.4f}",
        "dice_operating": f"{figures['operating']['dice']:.4f}",
    }


def _opening(log: Path, fold: str, recipe: str, seed: int) -> dict[str, str] | None:
    if not log.is_file():
        return None
    with log.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if (from_cell(row["fold"]), from_cell(row["recipe"]), row["seed"]) == (fold, recipe, str(seed)):
                return row
    return None
