"""`rtpolyp run` on a live source: the picture goes on whatever happens."""

import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from rich.console import Console

from rtpolyp.cli.flags import EngineFlags, InputFlags, LiveFlags, OutputFlags, PictureFlags
from rtpolyp.cli.header import header
from rtpolyp.cli.line_writer import LineWriter
from rtpolyp.errors import BackendError, InputError
from rtpolyp.inference.bundle import load_bundle
from rtpolyp.inference.isolated.engine import EngineRecipe, IsolatedEngine
from rtpolyp.live.controls import HELP
from rtpolyp.live.engines import Engines
from rtpolyp.live.ladder import Ladder, rungs_for
from rtpolyp.live.live_options import LiveOptions, LiveSummary
from rtpolyp.live.session import frame_seconds, run_live
from rtpolyp.video.source import open_live
from rtpolyp.video.window import Window

__all__ = ["live"]

log = logging.getLogger(__name__)

DEADLINE_SECONDS = 1.0  # for one result; slower ones are the ladder's business, this long is a hung library
SIGNALS = signal.SIGINT, signal.SIGTERM


def live(
    video: str,
    output: OutputFlags,
    engine: EngineFlags,
    picture: PictureFlags,
    reading: InputFlags,
    flags: LiveFlags,
) -> None:
    """Run on `video` until it ends, q is pressed or a signal comes.

    Raises InputError and its like before the first picture; afterwards, when all is closed and the summary is
    printed, the error of an output that ended early, else KeyboardInterrupt where a signal ended the run.
    """
    options = _options(output, picture, flags)
    recipe = EngineRecipe(engine.engine, engine.backend, engine.precision, engine.threads)
    if flags.fallback_engine is not None:
        load_bundle(flags.fallback_engine)  # now, and not when it is needed
    with contextlib.ExitStack() as stack:
        lines: Any = stack.enter_context(LineWriter(sys.stdout))
        console = Console(file=lines, markup=False)
        network = stack.enter_context(IsolatedEngine(recipe, deadline_seconds=DEADLINE_SECONDS))
        source = stack.enter_context(open_live(video, options=reading.options(audio=options.audio)))
        console.print(network.description, highlight=False)
        settings = picture.settings(network.spec)
        interval, max_age = frame_seconds(source), options.max_age_ms / 1000
        rungs = rungs_for(
            recipe,
            network.spec.size,
            interval,
            max_age,
            resizable=network.description.startswith("openvino"),
            fallback=flags.fallback_engine,
        )
        engines = Engines(network, Ladder(rungs, interval, max_age))
        window = _window(source.name, needed=not _writes(options)) if _shows(output, options) else None
        if window is not None:
            stack.enter_context(window)
            console.print(HELP, highlight=False)
        stop = stack.enter_context(_stopped_by_signals())
        heading = header(source, network, settings, options.crop)
        if flags.deidentify:
            del heading["source"]  # a file's name may be a patient's
        summary = run_live(source, engines, settings, options, header=heading, display=window, stop=stop)
        _print(summary, console)
    if summary.errors:
        raise summary.errors[0]
    if stop.is_set():
        raise KeyboardInterrupt


def _options(output: OutputFlags, picture: PictureFlags, flags: LiveFlags) -> LiveOptions:
    if output.masks is not None:
        raise InputError("--masks: a live source has none; record it, then run on the file")
    if flags.deidentify and picture.area() == "off":
        raise InputError("--deidentify: blanks what --crop leaves out, and off is nothing; give another")
    return LiveOptions(
        crop=picture.area(),
        max_age_ms=flags.max_age,
        alert_delay_ms=flags.alert_delay,
        tone=flags.tone,
        output=output.output,
        raw=flags.record_raw,
        json=output.json,
        snapshots=flags.snapshots,
        deidentify=flags.deidentify,
        audio=bool(output.audio),
        metrics=flags.metrics,
        log=flags.log,
    )


def _writes(options: LiveOptions) -> bool:
    return any((options.output, options.raw, options.json, options.metrics))


def _shows(output: OutputFlags, options: LiveOptions) -> bool:
    """In a window if that was asked for, or nothing else was."""
    return output.display or not _writes(options)


def _window(title: str, *, needed: bool) -> Window | None:
    try:
        return Window(title)
    except BackendError as exc:
        if needed:
            raise BackendError(f"{exc}, e.g. -o out.mp4") from exc
        log.warning("%s; going on without a window", exc)
        return None


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, so that none of them tears a picture in half."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print(summary: LiveSummary, console: Console) -> None:
    for line in summary.lines:
        console.print(line, highlight=False, soft_wrap=True)
    for path in summary.written:
        console.print(f"wrote {path}", highlight=False, soft_wrap=True)
