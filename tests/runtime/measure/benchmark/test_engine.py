"""The bench measured by an engine that knows the truth: the stub records what each request took."""

from concurrent.futures import Future

import numpy as np
import pytest

from rtpolyp.errors import EngineError
from rtpolyp.imaging.geometry import make_view
from rtpolyp.inference.engine import Prediction, Timing
from rtpolyp.measure.benchmark.clip import Excerpt
from rtpolyp.measure.benchmark.engine import measure_around, measure_engine
from rtpolyp.measure.benchmark.metered import MeteredEngine
from rtpolyp.measure.benchmark.samples import Samples, Schedule
from rtpolyp.pipeline import settings_for
from tests.runtime.clips import frame_of
from tests.runtime.red_disc import SPEC, disc
from tests.runtime.stub_engine import StubEngine

INPUTS = [disc(index, (SPEC.width, SPEC.height))[np.newaxis] for index in range(3)]
BRIEF = Schedule(warm_up_seconds=0.02, seconds=0.4)


def truth(engine: StubEngine, count: int) -> Samples:
    """Milliseconds of the last `count` requests."""
    return 1000 * np.array([engine.took[index] for index in range(len(engine.took))])[-count:]


HAND_OVER_MS = 0.2  # between two threads, on a slow processor


@pytest.mark.parametrize("delay_ms", [1, 5, 20])
def test_a_known_delay_is_measured_within_3_percent_or_a_tenth_of_a_millisecond(delay_ms: int):
    with StubEngine(SPEC, delay_seconds=delay_ms / 1000) as engine:
        measured = measure_engine(engine, INPUTS, BRIEF).samples
    true = truth(engine, len(measured["latency"]))
    allowed = max(0.03 * np.median(true), 0.1)
    # The truth is what this very request took, so a busy machine, which delays both, does not matter.
    assert np.median(measured["compute"] - true) < allowed
    assert (measured["compute"] >= true).all()
    # Latency has the hand-over between threads in it, which is small where nobody interferes.
    assert (measured["latency"] >= measured["compute"]).all()
    assert (measured["latency"] - true).min() < allowed + HAND_OVER_MS
    assert np.median(true) >= delay_ms


def test_a_hiccup_is_the_maximum():
    with StubEngine(SPEC, delay_seconds=0.001, pauses={8: 0.2}) as engine:
        figures = measure_engine(engine, INPUTS, Schedule(0.0, 0.3)).figures
    assert figures["latency"].maximum >= 200
    assert figures["compute"].maximum >= 200
    assert figures["latency"].median < 100


def test_requests_in_flight_overlap():
    with StubEngine(SPEC, capacity=4, delay_seconds=0.02) as engine:
        alone = measure_engine(engine, INPUTS, BRIEF)
        busy = measure_engine(engine, INPUTS, BRIEF, in_flight=4)
    assert (alone.name, alone.headline) == ("engine, one frame at a time", "latency")
    assert (busy.name, busy.headline) == ("engine, 4 in flight", "throughput")
    assert alone.figures["throughput"].median <= 50  # what 20 ms allow
    assert busy.figures["throughput"].median > 2 * alone.figures["throughput"].median
    assert busy.figures["throughput"].mean <= 4 * 50 * 1.05


def test_ten_iterations_at_least_and_the_warm_up_does_not_count():
    with StubEngine(SPEC, delay_seconds=0.01, pauses={0: 0.1}) as engine:
        figures = measure_engine(engine, INPUTS, Schedule(0.0, 0.0)).figures
    assert figures["latency"].count == 10
    assert figures["latency"].maximum < 100 + figures["latency"].minimum
    assert len(engine.took) == 11


class Card:
    """An engine that claims to be a GPU's."""

    backend, precision, spec, description, capacity, batch = "card", "fp16", SPEC, "card", 1, 1

    def submit(self, frames: np.ndarray) -> "Future[Prediction]":
        future: Future[Prediction] = Future()
        timing = Timing(compute=0.003, h2d=0.001, d2h=0.002)
        future.set_result(Prediction(np.zeros((1, 96, 128), np.uint8), timing=timing))
        return future


def test_a_gpus_parts_are_reported():
    figures = measure_engine(Card(), INPUTS, Schedule(0.0, 0.0)).figures
    assert {name: figures[name].median for name in ("h2d", "compute", "d2h")} == {
        "h2d": pytest.approx(1.0),
        "compute": pytest.approx(3.0),
        "d2h": pytest.approx(2.0),
    }


def test_a_backend_that_does_not_tell_has_no_parts():
    class Silent(Card):
        def submit(self, frames: np.ndarray) -> "Future[Prediction]":
            future: Future[Prediction] = Future()
            future.set_result(Prediction(np.zeros((1, 96, 128), np.uint8)))
            return future

    assert measure_engine(Silent(), INPUTS, Schedule(0.0, 0.0)).samples.keys() == {
        "throughput",
        "latency",
        "enqueue",
    }


def test_a_failing_engine_ends_the_measurement():
    with StubEngine(SPEC, fail_at={5}) as engine, pytest.raises(EngineError, match="request 5"):
        measure_engine(engine, INPUTS, BRIEF)


def test_work_before_and_after_the_engine_is_timed_for_every_frame():
    frames = tuple(frame_of(disc(index, (160, 128))) for index in range(3))
    excerpt = Excerpt(frames, make_view((160, 128), SPEC.size))
    with StubEngine(SPEC) as engine:
        metered = MeteredEngine(engine)
        samples = measure_around(excerpt, metered, settings_for(SPEC), seconds=0.0)
    assert {name: len(values) for name, values in samples.items()} == {"preprocess": 3, "postprocess": 3}
    assert all((values > 0).all() for values in samples.values())
    assert len(metered.requests) == 3
