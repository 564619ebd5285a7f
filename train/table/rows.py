"""The scored images of a finished cell, as `train.table.cells` writes them."""

import csv
from pathlib import Path

import numpy as np

from rtpolyp.errors import InputError
from rtpolyp.measure.comparison import FrameFigures
from rtpolyp.printable import from_cell

__all__ = ["COLUMNS", "FIGURES", "read_rows"]

COLUMNS = ("name", "group", "dice", "iou")
FIGURES = COLUMNS[2:]


def read_rows(path: Path) -> FrameFigures:
    """Dice and IoU of each image, by the cell's protocol. Raises InputError for a missing or broken file."""
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise InputError(f"{path}: its columns are not {', '.join(COLUMNS)}. Delete the cell")
            rows = list(reader)
        values = {figure: np.array([float(row[figure]) for row in rows]) for figure in FIGURES}
    except (OSError, ValueError, TypeError) as exc:
        raise InputError(
            f"{path}: not the images of a cell ({exc}). Delete the cell, to make it again"
        ) from exc
    names = tuple(from_cell(row["name"]) for row in rows)
    groups = tuple(from_cell(row["group"] or row["name"]) for row in rows)
    return FrameFigures(path, names, groups, values)
