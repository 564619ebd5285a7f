"""The console of every command: its width, its progress bar, and the names of the files it wrote."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar
from rich.text import Text

from rtpolyp.errors import OutputError
from rtpolyp.printable import printable

__all__ = ["OnProgress", "check_outputs", "make_console", "progress_bar", "say_written"]

BAR_WIDTH = 20  # columns: with the longest words and counts a line stays within 80
ESTIMATE_SECONDS = 3600.0  # rich forgets what is older, and then knows no time that remains
PIPED_WIDTH = 120  # columns where no terminal says how wide it is
OnProgress: TypeAlias = Callable[[int, int | None], None]  # called with (frames done, frames in all)


class _TextConsole(Console):
    """Shows what strangers named as text: no markup, no escape sequences, in lines and cells of tables."""

    def render_str(self, text: str, **how: Any) -> Text:
        """Rich's own name: every text that is printed passes through it."""
        return super().render_str("\n".join(map(printable, text.split("\n"))), **how)


def make_console(file: TextIO | None = None) -> Console:
    """A console as wide as the terminal, or PIPED_WIDTH; of `file`, the standard output by default."""
    stream = sys.stdout if file is None else file
    width = None if stream is not None and stream.isatty() else PIPED_WIDTH
    return _TextConsole(file=file, width=width, markup=False, emoji=False)


@contextmanager
def progress_bar(console: Console, unit: str, *, rate: str = "") -> Iterator[OnProgress]:
    """A bar that counts `unit` while the block runs; nothing where output is piped.

    `rate` is what it counts a second of, such as "frames": then it says the mean since its start.
    """
    speed = (TextColumn("{task.fields[speed]}"),) if rate else ()
    columns = (TextColumn(unit), BarColumn(BAR_WIDTH), MofNCompleteColumn(), *speed, TimeRemainingColumn())
    with ProgressBar(
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        speed_estimate_period=ESTIMATE_SECONDS,
    ) as bar:
        task = bar.add_task(unit, total=None, speed="")
        begun = time.perf_counter()

        def update(done: int, total: int | None) -> None:
            speed = f"{done / (time.perf_counter() - begun):.1f} {rate}/s" if rate else ""
            bar.update(task, completed=done, total=total, speed=speed)

        yield update


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
    """Name the files that were written, a line each."""
    for path in filter(None, paths):
        console.print(f"wrote {printable(str(path))}", highlight=False, markup=False, soft_wrap=True)
