"""`rtpolyp compare`: two per-frame CSVs of `rtpolyp eval`, paired."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from rtpolyp.measure.comparison import FIGURES, Comparison, check_precisions, compare, read_figures
from rtpolyp.measure.statistics import MINIMUM_GROUPS
from rtpolyp.terminal.console import make_console

__all__ = ["compare_runs"]


def compare_runs(
    ours: Path, theirs: Path, /, *, anyway: Annotated[bool, Parameter(negative="")] = False
) -> None:
    """Compare two runs on the same frames: every figure, the difference, and its 95 % interval.

    The interval is a paired bootstrap over groups of frames that resemble each other (a sequence, a patient;
    single images where none are named). It tells what other frames might show, not what another training
    from another seed would.

    Parameters
    ----------
    ours
        Per-frame CSV, as `rtpolyp eval --csv` writes it.
    theirs
        Another, of the same frames.
    anyway
        Compare runs of two precisions, too: part of the difference is the precision's.
    """
    first, second = read_figures(ours), read_figures(theirs)
    if not anyway:
        check_precisions(first, second)
    results = [compare([first], [second], figure) for figure in FIGURES]
    groups = len(set(first.groups))
    table = Table("figure", ours.stem, theirs.stem, "difference", "95 % interval", box=None)
    for result in results:
        table.add_row(*_cells(result))
    console = make_console()
    console.print(f"{len(first.names)} frames with a polyp in {groups} groups", highlight=False)
    console.print(table)
    if results[0].by_group:
        console.print(
            f"no interval: {groups} groups, {MINIMUM_GROUPS} are needed; Dice by group:", highlight=False
        )
        for group, difference in results[0].by_group.items():
            console.print(f"  {group}  {difference:+.3f}", highlight=False, markup=False)


def _cells(result: Comparison) -> tuple[str, ...]:
    interval = (
        "–" if result.interval is None else f"{result.interval.low:+.4f} to {result.interval.high:+.4f}"
    )
    figures = (f"{result.ours:.4f}", f"{result.theirs:.4f}", f"{result.difference:+.4f}")
    return (result.figure, *figures, interval)
