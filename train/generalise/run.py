"""Cell after cell, until the plan is done or the time is spent."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rtpolyp.errors import InputError
from train.experiment.frames import FrameStore
from train.experiment.queue import Queue, work
from train.experiment.training import Machine
from train.generalise.cells import Cell, is_finished, is_ready, read_cells, run_cell
from train.generalise.hospitals import SEALED
from train.generalise.report import write_report
from train.generalise.results import read_arms
from train.generalise.seal import check_unopened, log_opening

__all__ = ["run_cells"]


def run_cells(
    cells: Sequence[Cell], out: Path, machine: Machine, budget_minutes: float | None, seal_log: Path
) -> None:
    """Train and score what is not finished, and write the report after each cell.

    Any number of processes may do so at once. With a budget, the cell that is being trained then is saved and
    left for the next call. Raises InputError before the first training for finished cells of other settings,
    for a seal that was broken before, and for cells that need others.
    """
    queue = Queue(cells, out, partial(is_finished, out=out), partial(is_ready, out=out))
    for cell in queue.left():
        if cell.fold.left_out == SEALED:
            check_unopened(seal_log, SEALED, cell.label, cell.recipe.seed)
    _check_needs(cells, out)
    _log_openings(out, seal_log)  # a crash may have come between scores and log
    store = FrameStore()

    def run(cell: Cell) -> None:
        run_cell(cell, out, machine, store)
        _log_openings(out, seal_log)
        write_report(read_arms(out), out)

    work(queue, run, budget_minutes)


def _check_needs(cells: Sequence[Cell], out: Path) -> None:
    """Raise InputError for a cell that learns from one which is neither finished nor planned before it."""
    planned: set[str] = set()
    for cell in cells:
        for path in cell.needs:
            if path not in planned and not (out / path / "cell.json").is_file():
                raise InputError(f"{out / path}: {cell.label} learns from this cell. Run that recipe first")
        planned.add(cell.name)


def _log_openings(out: Path, seal_log: Path) -> None:
    for _, cell in read_cells(out, "full"):
        if cell["fold"] == SEALED:
            log_opening(seal_log, cell)
