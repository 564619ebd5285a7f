import time
from concurrent.futures import TimeoutError as FutureTimeout

import numpy as np
import pytest

from rtpolyp.errors import EngineError
from rtpolyp.inference.bundle import Bundle
from tests.runtime.stub_engine import StubEngine, redness

frames = np.zeros((1, 64, 96, 3), np.uint8)


def test_redness_is_clipped_and_grey_is_none():
    colours = np.uint8([[[[0, 0, 255], [255, 255, 0], [90, 90, 90], [90, 100, 140]]]])
    assert redness(colours).tolist() == [[[255, 0, 64, 109]]]


def test_fails_at_the_chosen_request_only(bundle: Bundle):
    with StubEngine(bundle.spec, fail_at=[1]) as engine:
        engine.submit(frames).result(5)
        with pytest.raises(EngineError, match="request 1 was told to fail"):
            engine.submit(frames).result(5)
        engine.submit(frames).result(5)


def test_hangs_at_the_chosen_request_until_released(bundle: Bundle):
    with StubEngine(bundle.spec, hang_at=[0]) as engine:
        hung = engine.submit(frames)
        engine.submit(frames).result(5)
        with pytest.raises(FutureTimeout):
            hung.result(0.05)
        engine.release()
        hung.result(5)


def test_close_releases_what_hangs(bundle: Bundle):
    engine = StubEngine(bundle.spec, hang_at=[0])
    hung = engine.submit(frames)
    engine.close()
    assert hung.done()


def test_delay(bundle: Bundle):
    with StubEngine(bundle.spec, delay_seconds=0.05) as engine:
        start = time.perf_counter()
        engine.submit(frames).result(5)
        assert time.perf_counter() - start >= 0.05


def test_a_pause_comes_on_top_and_the_true_seconds_are_told(bundle: Bundle):
    with StubEngine(bundle.spec, delay_seconds=0.01, pauses={1: 0.05}) as engine:
        predictions = [engine.submit(frames).result(5) for _ in range(3)]
    assert list(engine.took) == [0, 1, 2]
    assert engine.took[1] >= 0.06
    assert engine.took[0] >= 0.01
    assert all(p.timing.compute >= engine.took[index] for index, p in enumerate(predictions))
