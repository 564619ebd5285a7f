"""`rtpolyp verify-video`: what a run does to the picture, measured, with a verdict for each limit."""

import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from rtpolyp.checks import require_number
from rtpolyp.cli.flags import EngineFlags, PictureFlags
from rtpolyp.errors import InputError, OutputError
from rtpolyp.inference.isolated.engine import open_guarded
from rtpolyp.measure.figure_files import write_json, write_text
from rtpolyp.phantom_clip import render_clip
from rtpolyp.terminal.console import make_console, progress_bar, say_written
from rtpolyp.verify.before_encoding import run_watched
from rtpolyp.verify.charts import check_charts
from rtpolyp.verify.counter import LARGEST, draw_counter
from rtpolyp.verify.figure import Figure, limited, parse_limits
from rtpolyp.verify.recording import check_recording
from rtpolyp.verify.report import VERDICTS, compared, render, report_of, shown
from rtpolyp.video.source import open_source

__all__ = ["verify_video"]

FAILED = 1  # exit code: a limit is not kept
LONGEST_SECONDS = (LARGEST + 1) // 25  # of the generated clip: the counter's numbers


def verify_video(
    video: Path | None = None,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("verification.html"),
    limit: Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)] = None,
    seconds: float = 12.0,
    compare: Annotated[tuple[Path, Path] | None, Parameter(negative="")] = None,
    engine: EngineFlags = EngineFlags(),  # noqa: B008 # frozen
    picture: PictureFlags = PictureFlags(),  # noqa: B008
) -> int:
    """Measure what `rtpolyp run` does to a video file, and write a report.

    Exit code 1 where a limit is not kept.

    Parameters
    ----------
    video
        A video of your own; by default a phantom is rendered, with a counter in each picture.
    output
        The report as a page; the same as JSON lies beside it.
    limit
        NAME=VALUE, repeatable: a limit in place of the default one, such as psnr=40 or timestamp_error=0.5.
    seconds
        Length of the phantom.
    compare
        Two reports' JSON: print their figures beside each other, and measure nothing.
    """
    console, limits = make_console(), parse_limits(limit or ())
    if compare is not None:
        table = Table("figure", compare[0].stem, compare[1].stem, "difference", box=None)
        for row in compared(*compare):
            table.add_row(*row)
        console.print(table)
        return 0
    _check(output, video, seconds)
    with (
        tempfile.TemporaryDirectory(prefix="rtpolyp-") as folder,
        open_guarded(engine.recipe(optimise_for="throughput")) as network,
    ):
        console.print(network.description, highlight=False)
        clip, truths = video, []
        if clip is None:
            clip = Path(folder) / "phantom.mp4"
            truths = render_clip(clip, seconds=seconds, stamp=draw_counter)
        recording, results = Path(folder) / "recording.mp4", Path(folder) / "results.jsonl"
        settings = picture.settings(network.spec)
        figures = run_watched(clip, recording, results, network, settings)
        with progress_bar(console, "frames compared", rate="frames") as progress:
            figures += check_recording(clip, recording, results, truths=truths, on_progress=progress)
        figures += check_charts(Path(folder), network, settings)
        figures = limited(figures, limits)
        inputs = {"clip": clip, "recording": recording, "results": results}
        report = report_of(figures, network, settings, inputs)
    _print(figures, console)
    write_text(render(report), output)
    write_json(report, output.with_suffix(".json"))
    say_written([output, output.with_suffix(".json")], console)
    return FAILED if any(one.passed is False for one in figures) else 0


def _check(output: Path, video: Path | None, seconds: float) -> None:
    require_number("seconds", seconds, least=1, most=LONGEST_SECONDS, example="seconds, e.g. 12")
    if output.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{output}: a report is a web page; name the file *.html")
    if video is not None:
        with open_source(video) as source:
            if not source.is_sequence:
                raise InputError(f"{video}: is no video; give a video file")


def _print(figures: list[Figure], console: Console) -> None:
    table = Table("figure", "value", "limit", "", box=None)
    for one in figures:
        bound = "" if one.limit is None else f"at {one.kind.bound} {shown(one.limit)}"
        table.add_row(one.title, shown(one.value, one.kind.unit), bound, VERDICTS[one.passed])
    console.print(table)
