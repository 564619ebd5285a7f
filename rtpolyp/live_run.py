"""run_live: what `rtpolyp run` does with a live source. A file run does not import it, nor what it needs."""

import contextlib
import threading
from pathlib import Path

from rtpolyp.inference.backends import BACKENDS
from rtpolyp.inference.bundle import DEFAULT_BUNDLE, load_bundle
from rtpolyp.inference.isolated.engine import EngineRecipe, IsolatedEngine
from rtpolyp.live.engines import Engines
from rtpolyp.live.ladder import Ladder, rungs_for
from rtpolyp.live.live_options import LiveOptions, LiveSummary
from rtpolyp.live.session import frame_seconds, run_session
from rtpolyp.pipeline import settings_for
from rtpolyp.settings import Settings
from rtpolyp.video.contract import Display, LiveSource
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.source import open_live

__all__ = ["open_live_engine", "run_live"]

DEADLINE_SECONDS = 1.0  # for one live result; slower ones are the ladder's business, this is a hung library


def run_live(
    source: str | Path | LiveSource,
    outputs: Outputs,
    *,
    model: str | Path | EngineRecipe | IsolatedEngine = DEFAULT_BUNDLE,
    settings: Settings | None = None,
    options: LiveOptions | None = None,
    display: Display | None = None,
    stop: threading.Event | None = None,
) -> LiveSummary:
    """Outline polyps on a camera, a stream, or a video file played at its own pace.

    The picture goes on whatever happens to the network, the disk or the source. `source` is an address as
    `open_live` takes it, or an open LiveSource, which stays the caller's. `model` is a bundle's name or
    folder, a TensorRT plan's file, an EngineRecipe that says more, or the open engine of `open_live_engine`,
    which the run closes. `settings` are the bundle's own by default. With a `display`, call it on the main
    thread. The run ends with the source, when `stop` is set, or by the display's key q.

    Raises InputError, OutputError or EngineError before the first picture; an output that fails later ends
    alone and stands in the summary's `errors`.

    >>> run_live("rtsp://camera/stream", Outputs(video="out.mp4"), display=Window("camera"))  # doctest: +SKIP
    """
    options = options or LiveOptions()
    outputs.check_for_live()
    if options.fallback_engine is not None:
        load_bundle(options.fallback_engine)  # now, and not when it is needed
    with contextlib.ExitStack() as stack:
        if isinstance(model, (str, Path)):
            model = EngineRecipe(model)
        engine = stack.enter_context(open_live_engine(model) if isinstance(model, EngineRecipe) else model)
        if isinstance(source, (str, Path)):
            input_options = InputOptions(audio=bool(outputs.audio))
            source = stack.enter_context(open_live(source, options=input_options))
        settings = settings or settings_for(engine.spec)
        engines = Engines(engine, _ladder(engine, source, options))
        return run_session(source, engines, settings, outputs, options, display=display, stop=stop)


def open_live_engine(recipe: EngineRecipe) -> IsolatedEngine:
    """Open a live run's engine, in a process of its own; raises what IsolatedEngine raises."""
    return IsolatedEngine(recipe, deadline_seconds=DEADLINE_SECONDS)


def _ladder(engine: IsolatedEngine, source: LiveSource, options: LiveOptions) -> Ladder | None:
    """What the AI leaves out when it cannot keep up; None for an engine whose recipe is not known."""
    if not isinstance(engine.recipe, EngineRecipe):
        return None
    interval, max_age = frame_seconds(source), options.max_age_ms / 1000
    backend = BACKENDS.get(engine.backend)
    rungs = rungs_for(
        engine.recipe,
        engine.spec.size,
        interval,
        max_age,
        resizing_backend=engine.backend if backend is not None and backend.resizable else None,
        fallback=options.fallback_engine,
    )
    return Ladder(rungs, interval, max_age)
