"""`rtpolyp report`: one page that says what a run saw."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rtpolyp.report.writer import write_report
from rtpolyp.terminal.console import make_console, progress_bar, say_written

__all__ = ["report"]


def report(
    results: Path,
    video: Path | None = None,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("report.html"),
    deidentify: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write one self-contained web page about a run: sightings, their times, counts a minute and latencies.

    Parameters
    ----------
    results
        JSON lines, as `rtpolyp run --json` writes them.
    video
        The video of the run, or its recording; with it, sightings have thumbnails.
    output
        The page.
    deidentify
        Name no file, and show the endoscope's picture alone.
    """
    console = make_console()
    with progress_bar(console, results.name) as progress:
        write_report(results, output, video=video, deidentify=deidentify, on_progress=progress)
    say_written([output], console)
