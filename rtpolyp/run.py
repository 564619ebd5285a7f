"""run_file: what `rtpolyp run` does with a video file or images."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rtpolyp.errors import InputError
from rtpolyp.imaging.deidentify import blank_outside
from rtpolyp.imaging.geometry import View
from rtpolyp.imaging.picture import Crop, check_crop
from rtpolyp.inference.bundle import DEFAULT_BUNDLE
from rtpolyp.inference.engine import Engine
from rtpolyp.inference.isolated.engine import EngineRecipe, open_guarded
from rtpolyp.pipeline import draw, segment, settings_for
from rtpolyp.run_header import run_header
from rtpolyp.settings import Settings
from rtpolyp.timing import StageTimer
from rtpolyp.video.contract import Display, Source
from rtpolyp.video.frame import Frame
from rtpolyp.video.image_files import ImageFiles
from rtpolyp.video.outputs import Outputs, open_sinks
from rtpolyp.video.source import open_source
from rtpolyp.video.window import CLOSED

__all__ = ["FileSummary", "RunInterrupted", "run_file"]

QUIT_KEYS = ("q", "esc", CLOSED)


@dataclass
class FileSummary:
    """What a run over a file did, complete or interrupted."""

    written: tuple[Path, ...]
    frames: int = 0
    frames_with_polyps: int = 0
    outlines: int = 0  # in all frames
    seconds: float = 0.0
    timer: StageTimer = field(default_factory=StageTimer)  # seconds of each stage and frame
    skipped: tuple[str, ...] = ()  # a line for each image of several that could not be read

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


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C came during a run; its outputs are closed and hold everything up to there."""

    def __init__(self, summary: FileSummary) -> None:
        super().__init__()
        self.summary = summary


def run_file(
    source: str | Path | Source,
    outputs: Outputs,
    *,
    model: str | Path | EngineRecipe | Engine = DEFAULT_BUNDLE,
    settings: Settings | None = None,
    crop: Crop = "auto",
    display: Display | None = None,
    on_progress: Callable[[int, int | None], None] | None = None,
    resume: bool = False,
) -> FileSummary:
    """Outline polyps on every frame of a video file, an image, a folder or a glob of images.

    `source` is its path, or an open Source, which stays the caller's. `model` is a bundle's name or folder, a
    TensorRT plan's file, an EngineRecipe that says more, or an open Engine, which stays the caller's.
    `settings` are the bundle's own by default. `crop` is "auto" (the endoscope's picture, found), "off", or a
    Rect in frame pixels. `display` is shown every frame; its keys q and esc, or closing it, end the run.
    `on_progress` is called after each frame with the number of frames done and, where it is known, of all.
    With `resume`, images that an earlier run has written to every output are left out. An image of several
    that cannot be read does not end the run: it stands in the summary's `skipped`.

    Raises InputError, OutputError or EngineError in one line that says the remedy; every frame before the
    error is written. Ctrl-C raises RunInterrupted, a KeyboardInterrupt, once the outputs are closed.

    >>> run_file("video.mp4", Outputs(video="out.mp4", json="out.jsonl"))  # doctest: +SKIP
    """
    outputs.check_for_file()
    check_crop(crop)
    if outputs.deidentify and crop == "off":
        raise InputError(
            ": blanks what crop leaves out, and off is nothing; give another crop", parameter="deidentify"
        )
    with contextlib.ExitStack() as stack:
        if isinstance(source, (str, Path)):
            source = stack.enter_context(open_source(source))
        if isinstance(model, (str, Path)):
            model = EngineRecipe(model, optimise_for="throughput")
        engine = stack.enter_context(open_guarded(model)) if isinstance(model, EngineRecipe) else model
        settings = settings or settings_for(engine.spec)
        watcher = _Watcher(display, on_progress)
        summary = _run_file(source, outputs, engine, settings, crop, watcher, resume)
        if isinstance(source, ImageFiles):
            summary.skipped = tuple(source.skipped)
        return summary


class _Watcher(NamedTuple):
    """Who follows a run."""

    display: Display | None
    on_progress: Callable[[int, int | None], None] | None


def _run_file(
    source: Source,
    outputs: Outputs,
    engine: Engine,
    settings: Settings,
    crop: Crop,
    watcher: _Watcher,
    resume: bool,
) -> FileSummary:
    summary = FileSummary(outputs.written())
    start = time.perf_counter()
    with contextlib.ExitStack() as stack:
        header = run_header(source, engine, settings, crop)
        if outputs.deidentify:
            del header["source"]  # a file's name may be a patient's

        def times() -> dict[str, list[list[float]]]:
            return {"engine": summary.timer.histogram("engine")}

        sinks = [one.sink for one in open_sinks(outputs, source, header, times=times, resume=resume)]
        for sink in reversed(sinks):  # the video closes first: what became of its sound stands in the JSON
            stack.enter_context(sink)
        results = segment(source, engine, settings, crop=crop, timer=summary.timer)
        stack.enter_context(contextlib.closing(results))
        try:
            for result in results:
                with summary.timer.measure("overlay"):
                    drawn = draw(result, settings)
                    if outputs.deidentify:
                        drawn = _blanked(drawn, result.segmentation.view, crop)
                with summary.timer.measure("encode"):
                    for sink in sinks:
                        sink.write(drawn, result.segmentation)
                summary.count(len(result.segmentation.polyps), time.perf_counter() - start)
                if watcher.on_progress is not None:
                    watcher.on_progress(summary.frames, source.frame_count)
                if watcher.display is not None and watcher.display.show(drawn) in QUIT_KEYS:
                    break
        except KeyboardInterrupt as exc:
            stack.close()
            raise RunInterrupted(summary) from exc
    summary.seconds = time.perf_counter() - start
    return summary


def _blanked(frame: Frame, view: View, crop: Crop) -> Frame:
    """The frame, black outside the endoscope's picture; raises InputError where that was not found."""
    if crop == "auto" and (view.crop.width, view.crop.height) == frame.size:
        width, height = frame.size
        raise InputError(
            ": no certain border around the endoscope's picture; give crop as x,y,width,height, or "
            f"0,0,{width},{height} to keep all of the frame",
            parameter="deidentify",
        )
    blanked, planes = frame.writable()
    blank_outside(planes, view.crop, full_range=blanked.full_range)
    return blanked
