"""`rtpolyp run`: a video or images in, the same with polyps outlined out."""

import contextlib
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from rtpolyp.cli.flags import EngineFlags, InputFlags, LiveFlags, OutputFlags, PictureFlags
from rtpolyp.cli.header import header
from rtpolyp.cli.live import live
from rtpolyp.errors import BackendError
from rtpolyp.imaging.picture import Crop
from rtpolyp.inference.engine import Engine
from rtpolyp.inference.isolated.engine import EngineRecipe, open_guarded
from rtpolyp.measure.statistics import percentile
from rtpolyp.pipeline import draw, segment
from rtpolyp.settings import Settings
from rtpolyp.timing import StageTimer
from rtpolyp.video.address import is_live
from rtpolyp.video.contract import Sink, Source
from rtpolyp.video.json_sink import JsonSink
from rtpolyp.video.png_sinks import ImageSink, MaskSink
from rtpolyp.video.source import open_source
from rtpolyp.video.video_sink import VideoSink
from rtpolyp.video.window import CLOSED, Window

__all__ = ["Outcome", "Outputs", "print_outcome", "run", "run_source"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outputs:
    """Where the results of a run go."""

    picture: Path  # MP4, or a folder for images that stand alone
    json: Path | None = None
    masks: Path | None = None
    audio: bool = True  # keep the source's sound
    display: bool = False  # show the picture in a window as well


@dataclass
class Outcome:
    """What a run did, complete or interrupted."""

    written: list[Path]
    frames: int = 0
    frames_with_polyps: int = 0
    outlines: int = 0
    seconds: float = 0.0
    timer: StageTimer = field(default_factory=StageTimer)

    def count(self, outlines: int, seconds: float) -> None:
        """Take in one more frame, `seconds` after the start."""
        self.frames += 1
        self.outlines += outlines
        self.frames_with_polyps += outlines > 0
        self.seconds = seconds

    @property
    def frames_per_second(self) -> float:
        """Mean rate since the start."""
        return self.frames / self.seconds if self.seconds else 0.0


def run(
    video: Annotated[str, Parameter(allow_leading_hyphen=True)],  # for -
    /,
    *,
    output: OutputFlags = OutputFlags(),  # noqa: B008 # frozen
    engine: EngineFlags = EngineFlags(),  # noqa: B008
    picture: PictureFlags = PictureFlags(),  # noqa: B008
    reading: InputFlags = InputFlags(),  # noqa: B008
    live_flags: LiveFlags = LiveFlags(),  # noqa: B008
) -> None:
    """Outline polyps on a video, images or a live source.

    Parameters
    ----------
    video
        A video file, an image, a folder or a glob of images; or live: a camera (0 or /dev/video0), the URL of
        a stream (rtsp://, http://, …), - for the standard input.
    """
    if is_live(video) if live_flags.latest is None else live_flags.latest:
        live(video, output, engine, picture, reading, live_flags)
        return
    live_flags.refuse_without_live()
    console, area = Console(), picture.area()
    with (
        open_source(video, options=reading.options()) as source,
        open_guarded(
            EngineRecipe(
                engine.engine, engine.backend, engine.precision, engine.threads, optimise_for="throughput"
            )
        ) as network,
    ):
        console.print(network.description, highlight=False)
        outputs = Outputs(
            output.output or default_output(source, video),
            output.json,
            output.masks,
            output.audio is not False,
            output.display,
        )
        settings = picture.settings(network.spec)
        outcome = run_source(source, network, settings, outputs, crop=area, console=console)
    print_outcome(outcome, console)


def default_output(source: Source, video: str) -> Path:
    """NAME.polyps.mp4 for a video, NAME.polyps/ for images, in the current folder."""
    return Path(f"{Path(video).stem}.polyps" + (".mp4" if source.is_sequence else ""))


def run_source(
    source: Source, engine: Engine, settings: Settings, outputs: Outputs, *, crop: Crop, console: Console
) -> Outcome:
    """Run the pipeline into its outputs with a progress bar; Ctrl-C closes them, reports and re-raises."""
    outcome = Outcome(written=[path for path in (outputs.picture, outputs.json, outputs.masks) if path])
    start = time.perf_counter()
    with contextlib.ExitStack() as stack:
        sinks = _open_sinks(stack, source, outputs, header(source, engine, settings, crop))
        window = stack.enter_context(_window(source.name)) if outputs.display else None
        progress = stack.enter_context(_progress(console))
        task = progress.add_task(source.name, total=source.frame_count, fps=0.0)
        results = segment(source, engine, settings, crop=crop, timer=outcome.timer)
        stack.enter_context(contextlib.closing(results))
        try:
            for result in results:
                with outcome.timer.measure("overlay"):
                    drawn = draw(result, settings)
                with outcome.timer.measure("encode"):
                    for sink in sinks:
                        sink.write(drawn, result.segmentation)
                outcome.count(len(result.segmentation.polyps), time.perf_counter() - start)
                progress.update(task, advance=1, fps=outcome.frames_per_second)
                if window is not None and window.show(drawn) in ("q", "esc", CLOSED):
                    break
        except KeyboardInterrupt:
            stack.close()
            console.print("interrupted; what was written stays")
            print_outcome(outcome, console)
            raise
    outcome.seconds = time.perf_counter() - start
    return outcome


def _open_sinks(
    stack: contextlib.ExitStack, source: Source, outputs: Outputs, json_header: dict[str, object]
) -> list[Sink]:
    sinks: list[Sink] = [
        VideoSink(outputs.picture, source, audio=outputs.audio)
        if source.is_sequence
        else ImageSink(outputs.picture, source)
    ]
    stack.enter_context(sinks[0])
    if outputs.json is not None:
        sinks.append(stack.enter_context(JsonSink(outputs.json, json_header, source)))
    if outputs.masks is not None:
        sinks.append(stack.enter_context(MaskSink(outputs.masks, source)))
    return sinks


def print_outcome(outcome: Outcome, console: Console) -> None:
    """Print frames, rate, stage times and what was found."""
    table = Table("stage", "p50 ms", "p99 ms", box=None)
    for stage, seconds in outcome.timer.samples().items():
        table.add_row(stage, *(f"{1000 * percentile(seconds, rank):.2f}" for rank in (50, 99)))
    console.print(table)
    console.print(
        f"{outcome.frames} frames in {outcome.seconds:.1f} s ({outcome.frames_per_second:.1f} frames/s); "
        f"{outcome.outlines} polyp outlines in {outcome.frames_with_polyps} frames",
        highlight=False,
    )
    for path in outcome.written:
        console.print(f"wrote {path}", highlight=False, soft_wrap=True)


def _progress(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[fps]:.1f} frames/s"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _window(title: str) -> contextlib.AbstractContextManager[Window | None]:
    """A window, or none with the reason said aloud: a run does not end for want of a screen."""
    try:
        return Window(title)
    except BackendError as exc:
        log.warning("%s; going on without a window", exc)
        return contextlib.nullcontext()
