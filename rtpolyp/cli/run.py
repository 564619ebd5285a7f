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

from rtpolyp.errors import BackendError
from rtpolyp.imaging.picture import parse_crop
from rtpolyp.inference import open_engine
from rtpolyp.inference.engine import Engine
from rtpolyp.measure.statistics import percentile
from rtpolyp.pipeline import draw, segment, settings_for
from rtpolyp.settings import Settings, Style
from rtpolyp.timing import StageTimer
from rtpolyp.video.sink import ImageSink, JsonSink, MaskSink, Sink, VideoSink
from rtpolyp.video.source import Source, open_source
from rtpolyp.video.window import Window

__all__ = ["Outcome", "print_outcome", "run", "run_source"]

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """What a run did, complete or interrupted."""

    frames: int = 0
    frames_with_polyps: int = 0
    outlines: int = 0
    seconds: float = 0.0
    timer: StageTimer = field(default_factory=StageTimer)
    written: list[Path] = field(default_factory=list)


def run(
    video: str,
    /,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Path | None = None,
    masks: Path | None = None,
    display: Annotated[bool, Parameter(negative="")] = False,
    engine: str = "pranet-if",
    backend: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    threshold: float | None = None,
    style: Style = "outline",
    crop: str = "auto",
    audio: bool = True,
) -> None:
    """Outline polyps on a video, an image or a folder of images.

    Parameters
    ----------
    video
        A video file, an image, or a folder of images.
    output
        MP4 to write (a folder for images); by default NAME.polyps.mp4 in the current folder.
    json
        Write one line per frame: pts, polyps with box, area, confidence and contour.
    masks
        Write a PNG mask per frame into this folder.
    display
        Show the picture in a window as well; q or Esc ends the run.
    engine
        A bundle's name or folder.
    backend
        auto, openvino or onnxruntime.
    precision
        auto, fp32, bf16 or int8; auto measures which is fastest on this processor, once.
    threads
        Processor threads for the engine; all by default.
    threshold
        Probability from which a pixel is polyp; the bundle's own by default.
    style
        How polyps are drawn: outline, fill or box.
    crop
        The endoscope's picture in the frame: auto, off, or x,y,w,h.
    audio
        Keep the sound.
    """
    console = Console()
    with (
        open_source(video) as source,
        open_engine(
            engine, backend=backend, precision=precision, optimise_for="throughput", threads=threads
        ) as network,
    ):
        console.print(network.description, highlight=False)
        changes = {"style": style} | ({} if threshold is None else {"threshold": threshold})
        settings = settings_for(network.spec, **changes)
        outcome = run_source(
            source,
            network,
            settings,
            output=output or default_output(source, video),
            json=json,
            masks=masks,
            display=display,
            crop=crop,
            audio=audio,
            console=console,
        )
    print_outcome(outcome, console)


def default_output(source: Source, video: str) -> Path:
    """NAME.polyps.mp4 for a video, NAME.polyps/ for images, in the current folder."""
    return Path(f"{Path(video).stem}.polyps" + (".mp4" if source.is_sequence else ""))


def run_source(
    source: Source,
    engine: Engine,
    settings: Settings,
    *,
    output: Path,
    json: Path | None,
    masks: Path | None,
    display: bool,
    crop: str,
    audio: bool,
    console: Console,
) -> Outcome:
    """Run the pipeline into its sinks with a progress bar; Ctrl-C closes them, reports and re-raises."""
    outcome = Outcome()
    start = time.perf_counter()
    area = parse_crop(crop)
    with contextlib.ExitStack() as stack:
        sinks: list[Sink] = [
            stack.enter_context(
                VideoSink(output, source, audio=audio) if source.is_sequence else ImageSink(output, source)
            )
        ]
        if json is not None:
            sinks.append(stack.enter_context(JsonSink(json, header(source, engine, settings))))
        if masks is not None:
            sinks.append(stack.enter_context(MaskSink(masks)))
        outcome.written = [path for path in (output, json, masks) if path is not None]
        window = stack.enter_context(_window(source.name)) if display else None
        progress = stack.enter_context(_progress(console))
        task = progress.add_task(source.name, total=source.frame_count, fps=0.0)
        results = segment(source, engine, settings, crop=area, timer=outcome.timer)
        stack.enter_context(contextlib.closing(results))  # type: ignore[type-var]
        try:
            for result in results:
                with outcome.timer.measure("overlay"):
                    drawn = draw(result, settings)
                with outcome.timer.measure("encode"):
                    for sink in sinks:
                        sink.write(drawn, result.segmentation)
                outcome.frames += 1
                outcome.outlines += len(result.segmentation.polyps)
                outcome.frames_with_polyps += bool(result.segmentation.polyps)
                outcome.seconds = time.perf_counter() - start
                progress.update(task, advance=1, fps=outcome.frames / outcome.seconds)
                if window is not None and window.show(drawn) in ("q", "esc"):
                    break
        except KeyboardInterrupt:
            stack.close()
            print_outcome(outcome, console, interrupted=True)
            raise
    outcome.seconds = time.perf_counter() - start
    return outcome


def header(source: Source, engine: Engine, settings: Settings) -> dict[str, object]:
    """What the JSONL's first line says beside its schema version."""
    return {
        "source": source.name,
        "engine": engine.spec.name,
        "sha256": engine.spec.sha256,
        "backend": engine.description,
        "settings": vars(settings),
    }


def print_outcome(outcome: Outcome, console: Console, *, interrupted: bool = False) -> None:
    """Print frames, rate, stage times and what was found."""
    table = Table("stage", "p50 ms", "p99 ms", title=None, box=None)
    for stage, seconds in outcome.timer.samples().items():
        table.add_row(stage, *(f"{1000 * percentile(seconds, q):.2f}" for q in (50, 99)))
    console.print(table)
    rate = outcome.frames / outcome.seconds if outcome.seconds else 0.0
    console.print(
        f"{'interrupted after ' if interrupted else ''}{outcome.frames} frames in {outcome.seconds:.1f} s "
        f"({rate:.1f} frames/s); {outcome.outlines} polyp outlines in {outcome.frames_with_polyps} frames",
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
