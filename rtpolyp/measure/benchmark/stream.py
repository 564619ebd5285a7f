"""End to end: the pipeline of `rtpolyp run`, at full speed or fed live, and how fast it may be fed."""

import contextlib
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect
from rtpolyp.inference.engine import Engine
from rtpolyp.inference.processor import this_processor
from rtpolyp.measure.benchmark.clip import ClipFeed
from rtpolyp.measure.benchmark.conditions import Watch
from rtpolyp.measure.benchmark.metered import MeteredEngine
from rtpolyp.measure.benchmark.samples import THROUGHPUT, Measurement, Schedule, rates
from rtpolyp.measure.statistics import percentile
from rtpolyp.pipeline import draw, segment, settings_for
from rtpolyp.timing import StageTimer
from rtpolyp.video.video_sink import VideoSink

__all__ = ["GLASS", "Overrun", "Saturation", "Trial", "find_saturation", "measure_stream"]

GLASS = "glass-to-glass"
WORK = ("decode", "resize", "engine", "postprocess", "overlay", "encode")
TRIALS = 7  # of a saturation search
CLOSE = 0.05  # width of the bracket, relative to its lower end, at which the search ends


class Overrun(InputError):
    """A live stream so fast that next to nothing came through."""


def measure_stream(
    engine: Engine, clip: Path, crop: Rect, schedule: Schedule | None = None, *, rate: float | None = None
) -> Measurement:
    """Play a clip through decoder, engine, overlay and encoder, and follow each frame.

    Without a `rate`, frames are taken as fast as the pipeline takes them, and their latency is that of its
    queues. With one, frame i is due at `i / rate`, and its latency counts from then: whatever holds one frame
    up shows in those behind it. Figures: "throughput", "glass-to-glass" from due (else from the begin of
    decoding) to encoded, its parts, and "queue wait": the time in which nothing was done for the frame.
    Raises Overrun when fewer than two frames came through.
    """
    schedule = (schedule or Schedule()).for_requests(engine.capacity)
    metered, timer, watch = MeteredEngine(engine), StageTimer(capacity=2**62), Watch()
    settings = settings_for(engine.spec)
    finished: list[float] = []
    busy = time.process_time()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        feed = stack.enter_context(ClipFeed(clip, schedule, rate))
        sink = stack.enter_context(VideoSink(Path(folder, "overlay.mp4"), feed))
        results = segment(feed, metered, settings, crop=crop, timer=timer)
        for result in stack.enter_context(contextlib.closing(results)):
            with timer.measure("overlay"):
                drawn = draw(result, settings)
            with timer.measure("encode"):
                sink.write(drawn)
            finished.append(time.perf_counter())
    busy = time.process_time() - busy
    conditions = watch.conditions()
    arrived = np.array([arrival.at for arrival in feed.arrivals])
    measured = arrived >= feed.measured_from
    if measured.sum() < 2:
        raise Overrun(
            f"{clip}: after the warm-up {measured.sum()} frames came through and {len(feed.dropped)} were "
            "dropped; lower the pace or raise the duration"
        )
    stages = timer.samples() | {
        "decode": [arrival.decode for arrival in feed.arrivals],
        "engine": [request.resolved - request.submitted for request in metered.requests],
    }
    columns = {GLASS: np.array(finished) - arrived} | {stage: np.array(stages[stage]) for stage in WORK}
    columns["queue wait"] = columns[GLASS] - np.sum([columns[stage] for stage in WORK], axis=0)
    samples = {name: 1000 * seconds[measured] for name, seconds in columns.items()}
    throughput = rates(np.array(finished)[measured], engine.capacity)
    core_ms = 1000 * busy / len(finished)
    possible = 1000 * this_processor().cores / core_ms
    return Measurement(
        name="end to end, as fast as it goes" if rate is None else f"end to end, live at {rate:g} frames/s",
        headline=THROUGHPUT if rate is None else GLASS,
        engine=engine.description,
        samples={THROUGHPUT: throughput} | samples,
        conditions=conditions,
        notes=[
            f"{core_ms:.1f} core-milliseconds a frame, which allow {possible:.1f} frames/s on these cores"
        ],
        dropped=None if rate is None else sum(at >= feed.measured_from for at in feed.dropped),
        late=None if rate is None else int((samples[GLASS] > 1000 / rate).sum()),
    )


@dataclass(frozen=True)
class Trial:
    """A live stream at one rate."""

    rate: float  # frames/s
    kept_up: bool  # p99_ms is under one frame interval, and nothing was dropped
    p99_ms: float | None = None  # glass-to-glass; None when next to nothing came through
    dropped: int | None = None  # frames


@dataclass(frozen=True)
class Saturation:
    """The highest frame rate found at which a live stream keeps up."""

    rate: float | None  # frames/s; None when no rate that was tried did
    trials: tuple[Trial, ...]


def find_saturation(measure: Callable[[float], Measurement], first: float) -> Saturation:
    """The highest rate that `measure`, a live stream at a rate, keeps up with.

    From `first` frames/s on the rate is doubled until a stream does not keep up, then bisected. Ends after
    TRIALS streams, or when the bracket is as narrow as CLOSE.
    """
    low, high, rate = 0.0, math.inf, first
    trials: list[Trial] = []
    while len(trials) < TRIALS and high - low > CLOSE * low:
        trial = _try(measure, rate)
        trials.append(trial)
        low, high = (rate, high) if trial.kept_up else (low, rate)
        rate = 2 * rate if high == math.inf else (low + high) / 2
    return Saturation(low or None, tuple(trials))


def _try(measure: Callable[[float], Measurement], rate: float) -> Trial:
    try:
        measurement = measure(rate)
    except Overrun:
        return Trial(rate, kept_up=False)
    p99 = percentile(measurement.samples[GLASS], 99)
    return Trial(rate, not measurement.dropped and p99 < 1000 / rate, p99, measurement.dropped)
