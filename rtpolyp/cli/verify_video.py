"""`rtpolyp verify-video`: what a run does to the picture, measured, with a verdict for each limit."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter
from rich.console import Console
from rich.table import Table

from rtpolyp.checks import require_folder, require_number
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
from rtpolyp.verify.live_path import check_faults, check_live
from rtpolyp.verify.recording import check_recording
from rtpolyp.verify.report import VERDICTS, compared, render, report_of, shown
from rtpolyp.video.source import open_source

__all__ = ["VerifyFlags", "verify_video"]

FAILED = 1  # exit code: a limit is not kept
LONGEST_SECONDS = (LARGEST + 1) // 25  # of the generated clip: the counter's numbers


@Parameter(name="*", group=Group("Verification", sort_key=1))
@dataclass(frozen=True)
class VerifyFlags:
    """What is measured, and where the report goes.

    Parameters
    ----------
    output
        The report as a page; the same as JSON lies beside it.
    limit
        NAME=VALUE, repeatable: a limit in place of the default one, such as psnr=40 or timestamp_error=0.5.
    seconds
        Length of the phantom.
    path
        The path of a file, of a live source, or both; the live one takes as long as the clip.
    faults
        Play the clip live once more for each of eight faults; give one of ten seconds or more.
    compare
        Two reports' JSON: print their figures beside each other, and measure nothing.
    """

    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("verification.html")
    limit: Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)] = None
    seconds: float = 12.0
    path: Literal["both", "file", "live"] = "both"
    faults: Annotated[bool, Parameter(negative="")] = False
    compare: Annotated[tuple[Path, Path] | None, Parameter(negative="")] = None

    def check(self, video: Path | None) -> None:
        """Refuse before minutes of work what would fail after them."""
        example = "seconds, e.g. 12"
        require_number("seconds", self.seconds, least=1, most=LONGEST_SECONDS, example=example)
        if self.output.suffix.lower() not in (".html", ".htm"):
            raise OutputError(f"{self.output}: a report is a web page; name the file *.html")
        require_folder(self.output.parent)
        if video is not None:
            with open_source(video) as source:
                if not source.is_sequence:
                    raise InputError(f"{video}: is no video; give a video file")


def verify_video(
    video: Path | None = None,
    /,
    *,
    verify: VerifyFlags = VerifyFlags(),  # frozen
    engine: EngineFlags = EngineFlags(),  # noqa: B008
    picture: PictureFlags = PictureFlags(),  # noqa: B008
) -> int:
    """Measure what `rtpolyp run` does to a video, and write a report.

    Exit code 1 where a limit is not kept.

    Parameters
    ----------
    video
        A video of your own; by default a phantom is rendered, with a counter in each picture.
    """
    console, limits = make_console(), parse_limits(verify.limit or ())
    if verify.compare is not None:
        _print_compared(*verify.compare, console)
        return 0
    verify.check(video)
    with tempfile.TemporaryDirectory(prefix="rtpolyp-") as name:
        folder, truths = Path(name), []
        clip = folder / "phantom.mp4" if video is None else video
        if video is None:
            console.print(f"rendering {verify.seconds:g} s of phantom", highlight=False)
            truths = render_clip(clip, seconds=verify.seconds, stamp=draw_counter)
        inputs, figures = {"clip": clip}, []
        with open_guarded(engine.recipe(optimise_for="throughput")) as network:
            console.print(network.description, highlight=False)
            settings = picture.settings(network.spec)
            if verify.path != "live":
                recording, results = folder / "recording.mp4", folder / "results.jsonl"
                figures += run_watched(clip, recording, results, network, settings)
                with progress_bar(console, "frames compared", rate="frames") as progress:
                    figures += check_recording(clip, recording, results, truths=truths, on_progress=progress)
                figures += check_charts(folder, network, settings)
                inputs |= {"recording": recording, "results": results}
        live = engine.recipe(optimise_for="latency")
        if verify.path != "file":
            figures += check_live(clip, folder, live, settings, counted=bool(truths))
            inputs |= {"live recording": folder / "live.mp4", "live results": folder / "live.jsonl"}
        if verify.faults:
            figures += check_faults(clip, folder, live, settings)
        figures = limited(figures, limits)
        report = report_of(figures, network, settings, inputs)
    _print(figures, console)
    write_text(render(report), verify.output)
    write_json(report, verify.output.with_suffix(".json"))
    say_written([verify.output, verify.output.with_suffix(".json")], console)
    return FAILED if any(one.passed is False for one in figures) else 0


def _print_compared(ours: Path, theirs: Path, console: Console) -> None:
    table = Table("figure", ours.stem, theirs.stem, "difference", box=None)
    for row in compared(ours, theirs):
        table.add_row(*row)
    console.print(table)


def _print(figures: list[Figure], console: Console) -> None:
    table = Table("figure", "value", "limit", "", box=None)
    for one in figures:
        bound = "" if one.limit is None else f"at {one.kind.bound} {shown(one.limit)}"
        table.add_row(one.title, shown(one.value, one.kind.unit), bound, VERDICTS[one.passed])
    console.print(table)
