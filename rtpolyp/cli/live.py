"""`rtpolyp run` on a live source: the picture goes on whatever happens."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from rtpolyp.cli.flags import EngineFlags, InputFlags, LiveFlags, OutputFlags, PictureFlags
from rtpolyp.cli.say_engine import say_engine
from rtpolyp.cli.window import open_window
from rtpolyp.live.controls import HELP
from rtpolyp.live_run import open_live_engine, run_live
from rtpolyp.terminal.console import make_console, say_written
from rtpolyp.terminal.line_writer import LineWriter
from rtpolyp.video.source import open_live

__all__ = ["live"]

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
    outputs = output.outputs(flags)
    options = flags.options(crop=picture.area(), deidentify=output.deidentify)
    outputs.check_for_live()
    writes = any((outputs.written(), options.metrics, options.serve))
    with contextlib.ExitStack() as stack:
        lines: Any = stack.enter_context(LineWriter(sys.stdout))
        console = make_console(lines)
        network = stack.enter_context(open_live_engine(engine.recipe(optimise_for="latency")))
        source = stack.enter_context(open_live(video, options=reading.options(audio=bool(outputs.audio))))
        say_engine(network, console)
        window = open_window(source.name, needed=not writes) if output.display or not writes else None
        if window is not None:
            stack.enter_context(window)
            console.print(HELP, highlight=False)
        stop = stack.enter_context(_stopped_by_signals())
        settings = picture.settings(network.spec)
        summary = run_live(
            source, outputs, model=network, settings=settings, options=options, display=window, stop=stop
        )
        for line in summary.lines:
            console.print(line, highlight=False, soft_wrap=True)
        say_written(summary.written, console)
    if summary.errors:
        raise summary.errors[0]
    if stop.is_set():
        raise KeyboardInterrupt


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
