"""What `rtpolyp eval` of images and of videos share: console, progress bar, and the files they write."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from rtpolyp.errors import OutputError
from rtpolyp.measure.evaluation import Progress

__all__ = ["check_outputs", "make_console", "progress_bar", "say_written"]

PIPED_WIDTH = 120  # columns where no terminal says how wide it is


def make_console() -> Console:
    """A console as wide as the terminal, or PIPED_WIDTH."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)


@contextmanager
def progress_bar(console: Console, unit: str) -> Iterator[Progress]:
    """A bar that counts `unit` while the block runs; nothing where output is piped."""
    columns = (TextColumn(unit), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with ProgressBar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(unit, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[Path]) -> None:
    """Refuse before minutes of work what would fail after them, or overwrite what was to be scored."""
    taken = {path.resolve() for path in inputs}
    for path in filter(None, outputs):
        if path.resolve() in taken:
            raise OutputError(f"{path}: is one of the frames to score; choose another file")
        if path.is_dir() or not path.resolve().parent.is_dir():
            raise OutputError(
                f"{path}: is a folder or lies in none that exists; give a file in an existing folder"
            )


def say_written(paths: Iterable[Path | None], console: Console) -> None:
    """Name the files that were written."""
    for path in filter(None, paths):
        console.print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)
