"""A queue of cells in a fixed order that any number of workers on one checkout share.

A worker holds the lock of the cell that it works on (`flock`), which the system frees when the process ends,
however it ends. So no cell is worked on twice at a time, and none is left behind.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from rtpolyp.errors import InputError, OutputError, RtpolypError
from train.experiment.budget import budget
from train.experiment.lock import held

__all__ = ["Queue", "QueuedCell", "work"]

log = logging.getLogger(__name__)


class QueuedCell(Protocol):
    """What a queue knows of a cell."""

    @property
    def name(self) -> str:
        """The path of its files below the experiment's folders; no other cell has it."""


C = TypeVar("C", bound=QueuedCell)


@dataclass(frozen=True)
class Queue(Generic[C]):
    """Cells, first come first served."""

    cells: Sequence[C]
    folder: Path  # holds a folder for each cell, and in it the lock
    is_finished: Callable[[C], bool]
    is_ready: Callable[[C], bool] = lambda cell: True  # whether the cells that it builds on are finished

    def left(self) -> list[C]:
        """The cells that are not finished, in order."""
        return [cell for cell in self.cells if not self.is_finished(cell)]


def work(queue: Queue[C], run: Callable[[C], None], budget_minutes: float | None = None) -> None:
    """Run one cell after another until none is left that another worker does not hold.

    With a budget, the cell that is being run then is left for the next call, by KeyboardInterrupt as after a
    signal. A training that fails (RtpolypError) does not stop the others: its error is raised at the end.
    Raises at once what `queue.is_finished` and `run` raise of files: InputError and OutputError.
    """
    failed: dict[str, RtpolypError] = {}
    with budget(budget_minutes) as is_spent:
        try:
            while not is_spent() and _run_next(queue, run, failed):
                pass
        except KeyboardInterrupt:
            if not is_spent():
                raise
    if failed:
        raise RtpolypError("; ".join(f"{name}: {error}" for name, error in failed.items()))
    left = queue.left()
    if is_spent():
        log.info("budget spent, %d cells left; the same command goes on", len(left))
    elif left:
        log.info(
            "%d cells left, all held by other workers, or waiting for these or for another processor",
            len(left),
        )


def _run_next(queue: Queue[C], run: Callable[[C], None], failed: dict[str, RtpolypError]) -> bool:
    """Run the first cell that is free; False where there is none."""
    for cell in queue.left():
        if cell.name in failed or not queue.is_ready(cell):
            continue
        with held(queue.folder / cell.name / "lock", waits=False) as is_ours:
            if not is_ours or queue.is_finished(cell):  # another may have finished it meanwhile
                continue
            done = len(queue.cells) - len(queue.left())
            log.info("%s, cell %d of %d", cell.name, done + 1, len(queue.cells))
            try:
                run(cell)
            except (InputError, OutputError):
                raise
            except RtpolypError as error:
                log.error("%s failed: %s", cell.name, error)
                failed[cell.name] = error
            return True
    return False
