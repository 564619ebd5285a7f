"""`rtpolyp run`: a video or images in, the same with polyps outlined out."""

import contextlib
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rtpolyp.cli.flags import EngineFlags, InputFlags, LiveFlags, OutputFlags, PictureFlags
from rtpolyp.cli.say_engine import say_engine
from rtpolyp.cli.window import open_window
from rtpolyp.inference.isolated.engine import open_guarded
from rtpolyp.measure.statistics import percentile
from rtpolyp.run import FileSummary, RunInterrupted, run_file
from rtpolyp.terminal.console import make_console, progress_bar, say_written
from rtpolyp.video.address import is_live
from rtpolyp.video.contract import Source
from rtpolyp.video.source import open_source

__all__ = ["print_summary", "run"]

BAD_IMAGES = 2  # exit code: some images of a folder could not be read


def run(
    video: str,
    /,
    *,
    output: OutputFlags = OutputFlags(),  # noqa: B008 # frozen
    engine: EngineFlags = EngineFlags(),  # noqa: B008
    picture: PictureFlags = PictureFlags(),  # noqa: B008
    reading: InputFlags = InputFlags(),  # noqa: B008
    live_flags: LiveFlags = LiveFlags(),  # noqa: B008
) -> int:
    """Outline polyps on a video, images or a live source.

    Parameters
    ----------
    video
        A video file, an image, a folder or a glob of images; or live: a camera (0 or /dev/video0), the URL of
        a stream (rtsp://, http://, …), - for the standard input.
    """
    if live_flags.latest if live_flags.latest is not None else is_live(video) or live_flags.serve is not None:
        from rtpolyp.cli.live import live  # and with it what a file run does not need

        live(video, output, engine, picture, reading, live_flags)
        return 0
    live_flags.refuse_without_live()
    console, crop = make_console(), picture.area()
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(open_source(video, options=reading.options()))
        network = stack.enter_context(open_guarded(engine.recipe(optimise_for="throughput")))
        say_engine(network, console)
        outputs = output.outputs()
        if outputs.video is None:
            outputs = replace(outputs, video=default_output(source))
        settings = picture.settings(network.spec)
        window = open_window(source.name) if output.display else None
        if window is not None:
            stack.enter_context(window)
        progress = stack.enter_context(progress_bar(console, source.name, rate="frames"))
        try:
            summary = run_file(
                source,
                outputs,
                model=network,
                settings=settings,
                crop=crop,
                display=window,
                on_progress=progress,
                resume=output.resume,
            )
        except RunInterrupted as exc:
            stack.close()
            console.print("interrupted; what was written stays")
            print_summary(exc.summary, console)
            raise
    print_summary(summary, console)
    return BAD_IMAGES if summary.skipped and not (output.keep_going and summary.frames) else 0


def default_output(source: Source) -> Path:
    """NAME.polyps.mp4 for a video, NAME.polyps/ for images, in the current folder."""
    if source.path is None:
        name = source.name
    else:
        name = source.path.resolve().name if source.path.is_dir() else source.path.stem
    return Path(f"{name}.polyps" + (".mp4" if source.is_sequence else ""))


def print_summary(summary: FileSummary, console: Console) -> None:
    """Print frames, rate, stage times and what was found."""
    table = Table("stage", "p50 ms", "p99 ms", box=None)
    for stage, seconds in summary.timer.samples().items():
        table.add_row(stage, *(f"{1000 * percentile(seconds, rank):.2f}" for rank in (50, 99)))
    console.print(table)
    console.print(
        f"{summary.frames} frames in {summary.seconds:.1f} s ({summary.frames_per_second:.1f} frames/s); "
        f"{summary.outlines} polyp outlines in {summary.frames_with_polyps} frames",
        highlight=False,
    )
    say_written(summary.written, console)
    if summary.skipped:
        console.print(f"left out, for they cannot be read ({len(summary.skipped)}):", highlight=False)
        for line in summary.skipped:
            console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
