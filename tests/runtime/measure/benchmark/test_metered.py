import time

import numpy as np
import pytest

from rtpolyp.errors import EngineBusy, EngineError
from rtpolyp.measure.benchmark.metered import MeteredEngine
from tests.runtime.red_disc import SPEC, disc
from tests.runtime.stub_engine import StubEngine, redness

FRAMES = disc(0, (SPEC.width, SPEC.height))[np.newaxis]


def test_results_pass_through_and_times_are_in_order():
    with StubEngine(SPEC, delay_seconds=0.01) as engine:
        metered = MeteredEngine(engine)
        before = time.perf_counter()
        prediction = metered.submit(FRAMES).result(5)
        (times,) = metered.requests
    assert np.array_equal(prediction.probability, redness(FRAMES))
    assert before <= times.submitted <= times.enqueued
    assert times.resolved - times.submitted >= 0.01
    assert times.timing is prediction.timing


def test_times_are_complete_when_the_future_resolves():
    with StubEngine(SPEC) as engine:
        metered = MeteredEngine(engine)
        for _ in range(200):
            metered.submit(FRAMES).result(5)
            assert metered.requests[-1].resolved > 0


def test_a_failing_request_fails():
    with StubEngine(SPEC, fail_at={0}) as engine:
        metered = MeteredEngine(engine)
        with pytest.raises(EngineError, match="request 0"):
            metered.submit(FRAMES).result(5)


def test_a_busy_engine_is_busy():
    with StubEngine(SPEC, capacity=1, hang_at={0}) as engine:
        metered = MeteredEngine(engine)
        metered.submit(FRAMES)
        with pytest.raises(EngineBusy, match="1 requests are in flight"):
            metered.submit(FRAMES)
        assert len(metered.requests) == 1
