"""Cell after cell, until none is left or the time is spent."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from train.experiment.frames import FrameStore
from train.experiment.numerics import agree_on
from train.experiment.queue import Queue, work
from train.experiment.training import Machine
from train.optimisation import Numerics
from train.table.cells import Cell, is_finished, run_cell
from train.table.number_format import begun_in, is_fast_here
from train.table.protocols import check_test_is_unseen

__all__ = ["run_cells"]


def run_cells(
    cells: Sequence[Cell],
    results: Path,
    runs: Path,
    machine: Machine,
    budget_minutes: float | None,
    after_each: Callable[[], None] = lambda: None,
    numerics_of: Callable[[Cell], Numerics] | None = None,
) -> None:
    """Train in `runs` and score what is not finished in `results`; any number of processes may do so at once.

    `numerics_of` tells the number format of each cell; one that this processor lacks the arithmetic for is
    left to another. By default the fastest here is measured once for the table.

    With a budget, the cell that is being trained then is saved and left for the next call. Raises InputError
    before the first training for data that leak and for finished cells of other settings, and RtpolypError at
    the end where a training has failed.
    """
    for sources in dict.fromkeys(cell.sources for cell in cells):
        check_test_is_unseen(sources)
    store = FrameStore()

    def run(cell: Cell) -> None:
        numerics = agree_on(numerics_of(cell), begun_in(runs, cell)) if numerics_of else None
        run_cell(cell, results, runs, machine, store, numerics)
        after_each()

    def is_ready(cell: Cell) -> bool:
        return not numerics_of or is_fast_here(numerics_of(cell))

    work(Queue(cells, runs, partial(is_finished, results=results), is_ready), run, budget_minutes)
