"""Workers, real processes among them, share a queue of cells."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from rtpolyp.errors import InputError, RtpolypError
from train.experiment.queue import Queue, work

PATIENCE = 60  # seconds; a process that has nothing to do is there in one, but not on a loaded machine


@dataclass(frozen=True)
class Cell:
    name: str


CELLS = [Cell(f"part/cell{index}") for index in range(6)]


def is_done(folder: Path, cell: Cell) -> bool:
    return (folder / cell.name / "done").is_file()


def queue_in(folder: Path, **options: Callable[[Cell], bool]) -> Queue[Cell]:
    return Queue(CELLS, folder, partial(is_done, folder), **options)


def note(folder: Path, cell: Cell, seconds: float = 0.0) -> None:
    """Write down who has run the cell, at its start; and that it is done, at its end."""
    with (folder / cell.name / "runs").open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    (folder / cell.name / "done").touch()


def runs(folder: Path) -> list[list[str]]:
    files = [folder / cell.name / "runs" for cell in CELLS]
    return [file.read_text().split() if file.is_file() else [] for file in files]


def worker(folder: Path, seconds: float) -> None:
    work(queue_in(folder), partial(note, folder, seconds=seconds))


def start(folder: Path, seconds: float) -> multiprocessing.Process:
    process = multiprocessing.get_context("spawn").Process(target=worker, args=(folder, seconds))
    process.start()
    return process


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_cells_are_run_in_order_and_once(tmp_path):
    seen = []
    queue = queue_in(tmp_path)
    work(queue, lambda cell: (seen.append(cell), note(tmp_path, cell)))
    assert seen == CELLS
    assert queue.left() == []
    work(queue, lambda cell: pytest.fail("all are finished"))


def test_two_workers_share_the_cells(tmp_path):
    workers = [start(tmp_path, 0.3) for _ in range(2)]
    for process in workers:
        process.join(PATIENCE)
        assert process.exitcode == 0
    who = [entry for (entry,) in runs(tmp_path)]  # each cell has been run once
    assert set(who) <= {str(process.pid) for process in workers}


def test_a_cell_that_another_holds_is_left_to_it(tmp_path):
    process = start(tmp_path, PATIENCE)
    wait_for(lambda: runs(tmp_path)[0] != [])
    work(queue_in(tmp_path), partial(note, tmp_path))
    assert [len(entries) for entries in runs(tmp_path)] == [1] * 6
    assert runs(tmp_path)[0] == [str(process.pid)]
    assert not is_done(tmp_path, CELLS[0])
    process.kill()
    process.join(PATIENCE)


def test_a_killed_workers_cell_is_free_again(tmp_path):
    process = start(tmp_path, PATIENCE)
    wait_for(lambda: runs(tmp_path)[0] != [])
    process.kill()
    process.join(PATIENCE)
    work(queue_in(tmp_path), partial(note, tmp_path))
    assert runs(tmp_path)[0] == [str(process.pid), str(os.getpid())]
    assert all(is_done(tmp_path, cell) for cell in CELLS)


def test_a_cell_waits_for_those_that_it_builds_on(tmp_path):
    order = []

    def run(cell: Cell) -> None:
        order.append(CELLS.index(cell))
        note(tmp_path, cell)

    work(queue_in(tmp_path, is_ready=lambda cell: cell != CELLS[0] or is_done(tmp_path, CELLS[3])), run)
    assert order == [1, 2, 3, 0, 4, 5]


def test_a_cell_that_is_never_ready_is_left(tmp_path, caplog):
    caplog.set_level("INFO")
    work(queue_in(tmp_path, is_ready=lambda cell: cell != CELLS[2]), partial(note, tmp_path))
    assert [len(entries) for entries in runs(tmp_path)] == [1, 1, 0, 1, 1, 1]
    assert "1 cells left, all held by other workers, or waiting for these" in caplog.text


def test_a_failed_training_does_not_stop_the_others_and_is_told_at_the_end(tmp_path):
    def run(cell: Cell) -> None:
        if cell == CELLS[1]:
            raise RtpolypError("step 7: loss nan")
        note(tmp_path, cell)

    with pytest.raises(RtpolypError, match=r"^part/cell1: step 7: loss nan$"):
        work(queue_in(tmp_path), run)
    assert [len(entries) for entries in runs(tmp_path)] == [1, 0, 1, 1, 1, 1]


def test_files_that_do_not_fit_stop_the_queue(tmp_path):
    def run(cell: Cell) -> None:
        raise InputError("no such folder")

    with pytest.raises(InputError, match="no such folder"):
        work(queue_in(tmp_path), run)
    assert len(list(tmp_path.glob("part/*"))) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_no_spent_budget(number, tmp_path):
    def run(cell: Cell) -> None:
        raise KeyboardInterrupt  # what a training raises when it has saved

    with pytest.raises(KeyboardInterrupt):
        work(queue_in(tmp_path), run, budget_minutes=60)


def test_a_spent_budget_ends_the_cell_and_the_queue(tmp_path, caplog):
    caplog.set_level("INFO")
    stopped = []

    def run(cell: Cell) -> None:
        before = signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(cell))
        try:
            wait_for(lambda: stopped != [])
        finally:
            signal.signal(signal.SIGTERM, before)
        raise KeyboardInterrupt

    work(queue_in(tmp_path), run, budget_minutes=0.2 / 60)
    assert stopped == [CELLS[0]]
    assert "budget spent, 6 cells left; the same command goes on" in caplog.text


@pytest.fixture
def deaf() -> Iterator[None]:
    """SIGTERM does nothing, as in the last phase of a training, which only notes it."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("deaf")
def test_a_budget_that_ends_while_nobody_looks_ends_the_queue_after_that_cell(tmp_path, caplog):
    caplog.set_level("INFO")
    work(queue_in(tmp_path), partial(note, tmp_path, seconds=0.3), budget_minutes=0.1 / 60)
    assert [len(entries) for entries in runs(tmp_path)] == [1, 0, 0, 0, 0, 0]
    assert "budget spent, 5 cells left; the same command goes on" in caplog.text


@pytest.mark.usefixtures("deaf")
def test_a_failed_training_is_told_when_the_budget_is_spent_too(tmp_path):
    def run(cell: Cell) -> None:
        if cell == CELLS[0]:
            raise RtpolypError("step 7: loss nan")
        signal.raise_signal(signal.SIGALRM)
        raise KeyboardInterrupt

    with pytest.raises(RtpolypError, match=r"^part/cell0: step 7: loss nan$"):
        work(queue_in(tmp_path), run, budget_minutes=1)
