"""The engine alone: throughput, latency, enqueue and the parts that its backend tells."""

import itertools
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.postprocess import find_polyps
from rtpolyp.inference.engine import Engine, Prediction, Timing
from rtpolyp.measure.benchmark.clip import Excerpt
from rtpolyp.measure.benchmark.conditions import Watch
from rtpolyp.measure.benchmark.metered import MeteredEngine, RequestTimes
from rtpolyp.measure.benchmark.samples import THROUGHPUT, Measurement, Samples, Schedule, rates
from rtpolyp.settings import Settings
from rtpolyp.video.network_scaler import NetworkScaler

__all__ = ["measure_around", "measure_engine"]

PARTS = ("h2d", "compute", "d2h")


def measure_engine(
    engine: Engine,
    inputs: Sequence[NDArray[np.uint8]],
    schedule: Schedule | None = None,
    *,
    in_flight: int | None = None,
) -> Measurement:
    """Time an engine's requests, one at a time, or with so many `in_flight` at any moment.

    `inputs` are taken in turn, each `(1, H, W, 3) uint8 BGR` at the network's size. Figures: "throughput";
    "latency", from the call of `submit` until the result is there, so with copies and hand-over between
    threads; "enqueue", the call of `submit` alone; "compute", "h2d" and "d2h" as far as the backend tells.
    """
    waiting = in_flight or 1
    schedule = (schedule or Schedule()).for_requests(waiting)
    metered, watch = MeteredEngine(engine), Watch()
    _load(metered, inputs, schedule.warm_up_seconds, 1, waiting)
    warm = len(metered.requests)
    _load(metered, inputs, schedule.seconds, schedule.iterations, waiting)
    requests = metered.requests[warm:]
    samples: dict[str, Samples] = {
        THROUGHPUT: rates([request.resolved for request in requests], waiting),
        "latency": _milliseconds([request.resolved - request.submitted for request in requests]),
        "enqueue": _milliseconds([request.enqueued - request.submitted for request in requests]),
    }
    return Measurement(
        name="engine, one frame at a time" if in_flight is None else f"engine, {in_flight} in flight",
        headline="latency" if in_flight is None else THROUGHPUT,
        engine=engine.description,
        samples=samples | _parts(requests),
        conditions=watch.conditions(),
    )


def measure_around(
    excerpt: Excerpt, engine: Engine, settings: Settings, seconds: float
) -> dict[str, Samples]:
    """What a frame costs the processor before and after any engine, in milliseconds, one at a time.

    "preprocess" crops, scales and converts a decoded frame to the network's input; "postprocess" finds the
    polyps in the network's probability.
    """
    scaler = NetworkScaler(excerpt.view)
    before, after = list[float](), list[float]()
    maps = [engine.submit(pixels).result().probability[0] for pixels in excerpt.inputs()]
    deadline = time.perf_counter() + seconds
    for frame, probability in itertools.cycle(zip(excerpt.frames, maps, strict=True)):
        start = time.perf_counter()
        scaler(frame)
        scaled = time.perf_counter()
        find_polyps(probability, excerpt.view, settings)
        end = time.perf_counter()
        before.append(scaled - start)
        after.append(end - scaled)
        if end > deadline and len(after) >= len(maps):
            break
    return {"preprocess": _milliseconds(before), "postprocess": _milliseconds(after)}


def _load(
    engine: MeteredEngine,
    inputs: Sequence[NDArray[np.uint8]],
    seconds: float,
    iterations: int,
    in_flight: int,
) -> None:
    """Submit for `seconds` and at least `iterations` times, then wait for what is in flight."""
    waiting: deque[Future[Prediction]] = deque()
    deadline = time.perf_counter() + seconds
    for count, pixels in enumerate(itertools.cycle(inputs)):
        if count >= iterations and time.perf_counter() >= deadline:
            break
        if len(waiting) == in_flight:
            waiting.popleft().result()
        waiting.append(engine.submit(pixels))
    for future in waiting:
        future.result()


def _parts(requests: Sequence[RequestTimes]) -> dict[str, Samples]:
    timings: list[Timing] = [request.timing for request in requests if request.timing is not None]
    columns = {part: [getattr(timing, part) for timing in timings] for part in PARTS}
    return {part: _milliseconds(column) for part, column in columns.items() if column and None not in column}


def _milliseconds(seconds: Sequence[float]) -> Samples:
    return 1000 * np.asarray(seconds, np.float64)
