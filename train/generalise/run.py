"""Cell after cell, until the plan is done or the time is spent."""

import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rtpolyp.errors import InputError
from train.generalise.cells import Cell, run_cell
from train.generalise.frames import FrameStore
from train.generalise.hospitals import SEALED
from train.generalise.report import write_report
from train.generalise.results import read_arms
from train.generalise.seal import check_unopened, log_opening
from train.table.run import keep_numerics, kept_numerics
from train.table.training import Machine, is_finished, read_cells

__all__ = ["run_cells"]

log = logging.getLogger(__name__)


def run_cells(
    cells: Sequence[Cell], out: Path, machine: Machine, budget_minutes: float | None, seal_log: Path
) -> None:
    """Train and score what is not finished, and write the report after each cell.

    With a budget, the cell that is being trained then is saved and left for the next call. Raises InputError
    before the first training for finished cells of other settings, for a seal that was broken before, and
    for cells that need others.
    """
    left = [cell for cell in cells if not is_finished(cell, out / cell.name)]
    for cell in left:
        if cell.fold.left_out == SEALED:
            check_unopened(seal_log, SEALED, cell.label, cell.recipe.seed)
    _check_needs(cells, out)
    _log_openings(out, seal_log)  # a crash may have come between scores and log
    store = FrameStore()
    with _budget(budget_minutes) as is_spent:
        for number, cell in enumerate(left):
            log.info("cell %d of %d: %s", len(cells) - len(left) + number + 1, len(cells), cell.name)
            try:
                numerics = run_cell(cell, out, machine, store, kept_numerics(out, machine.precision))
            except KeyboardInterrupt:
                if not is_spent():
                    raise
                log.info("budget spent, %d cells left; the same command goes on", len(left) - number)
                return
            keep_numerics(numerics, out)
            _log_openings(out, seal_log)
            write_report(read_arms(out), out)


def _check_needs(cells: Sequence[Cell], out: Path) -> None:
    """Raise InputError for a cell that learns from one which is neither finished nor planned before it."""
    planned: set[str] = set()
    for cell in cells:
        for path in cell.needs:
            if path not in planned and not (out / path / "cell.json").is_file():
                raise InputError(f"{out / path}: {cell.label} learns from this cell. Run that recipe first")
        planned.add(cell.name)


def _log_openings(out: Path, seal_log: Path) -> None:
    for _, cell in read_cells(out / "full"):
        if cell["fold"] == SEALED:
            log_opening(seal_log, cell)


@contextmanager
def _budget(minutes: float | None) -> Iterator[Callable[[], bool]]:
    """Within it, SIGTERM comes after so many minutes, as if a user had stopped the run.

    Yields a function that tells whether it has.
    """
    spent: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        spent.append(number)
        signal.raise_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGALRM, end)
    if minutes is not None:
        signal.setitimer(signal.ITIMER_REAL, max(1e-3, 60 * minutes))
    try:
        yield lambda: bool(spent)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
