"""Cell after cell, until the plan is done or the time is spent."""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rtpolyp.errors import InputError, OutputError
from train.optimisation import Numerics
from train.table.plan import Cell
from train.table.protocols import check_test_is_unseen
from train.table.report import write_report
from train.table.results import read_lines
from train.table.training import Machine, is_finished, run_cell

__all__ = ["keep_numerics", "kept_numerics", "run_cells"]

log = logging.getLogger(__name__)


def run_cells(cells: Sequence[Cell], folder: Path, machine: Machine, budget_minutes: float | None) -> None:
    """Train and score what is not finished, and write the report after each cell.

    With a budget, no cell begins after so many minutes. Raises InputError before the first training for data
    that leak and for finished cells of other settings.
    """
    for sources in dict.fromkeys(cell.sources for cell in cells):
        check_test_is_unseen(sources)
    left = [cell for cell in cells if not is_finished(cell, folder / cell.name)]
    began = time.monotonic()
    for number, cell in enumerate(left):
        if budget_minutes is not None and time.monotonic() - began > 60 * budget_minutes:
            log.info("budget spent, %d cells left; the same command goes on", len(left) - number)
            return
        log.info("cell %d of %d: %s", len(cells) - len(left) + number + 1, len(cells), cell.name)
        numerics = run_cell(cell, folder / cell.name, machine, kept_numerics(folder, machine.precision))
        keep_numerics(numerics, folder)
        write_report(read_lines(folder), folder)


def kept_numerics(folder: Path, precision: str | None) -> Numerics | None:
    """What the table's first cell measured: one arithmetic for all, or the arms would differ by it.

    Raises InputError for a broken file, and where the precision is another one.
    """
    file = folder / "numerics.json"
    if not file.is_file():
        return None
    try:
        numerics = Numerics(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError) as exc:
        raise InputError(f"{file}: not the table's numerics ({exc}). Copy them from a cell.json") from exc
    if precision not in (None, numerics.precision):
        raise InputError(f"{file}: this table is in {numerics.precision}, not {precision}. Give another -o")
    return numerics


def keep_numerics(numerics: Numerics, folder: Path) -> None:
    """Write them down for the next cell. Raises OutputError where the folder cannot be written."""
    file = folder / "numerics.json"
    try:
        file.write_text(json.dumps(asdict(numerics)) + "\n")
    except OSError as exc:
        raise OutputError(
            f"{file}: cannot be written ({exc.strerror}). Free space or choose another -o"
        ) from exc
