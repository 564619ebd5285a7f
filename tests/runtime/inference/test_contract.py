"""One suite over all backends: what `rtpolyp.inference.engine.Engine` promises."""

import re
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from rtpolyp.errors import EngineBusy, EngineError
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.isolated.engine import IsolatedEngine
from rtpolyp.inference.local_engine import LocalEngine, SlotEngine
from rtpolyp.inference.onnxruntime import OnnxRuntimeCudaEngine, OnnxRuntimeEngine
from rtpolyp.inference.openvino import OpenVinoEngine
from rtpolyp.inference.remote.engine import RemoteEngine
from tests.runtime.kserve_server import Server
from tests.runtime.on_card import LEVELS, tensorrt_engine
from tests.runtime.simulated_tensorrt import simulated_engine
from tests.runtime.stub_engine import StubEngine
from tests.runtime.tiny_bundle import red_square

WAIT_SECONDS = 20.0  # for what takes milliseconds: a failure, not a measurement

OPENERS: dict[str, Callable[..., LocalEngine]] = {
    "openvino-fp32": lambda bundle, **options: OpenVinoEngine(bundle, "fp32", **options),
    "openvino-int8": lambda bundle, **options: OpenVinoEngine(bundle, "int8", **options),
    "onnxruntime-fp32": lambda bundle, **options: OnnxRuntimeEngine(bundle, "fp32", **options),
    "onnxruntime-int8": lambda bundle, **options: OnnxRuntimeEngine(bundle, "int8", **options),
    "onnxruntime-cuda": lambda bundle, **options: OnnxRuntimeCudaEngine(bundle, **options),
    "stub": lambda bundle, optimise_for="latency", **options: StubEngine(bundle.spec, **options),
    "isolated": lambda bundle, optimise_for="latency", **options: IsolatedEngine(
        partial(StubEngine, bundle.spec, **options)
    ),
    "simulated-tensorrt": partial(simulated_engine, "tensorrt"),
    "simulated-tensorrt-rtx": partial(simulated_engine, "tensorrt-rtx"),
    "tensorrt": tensorrt_engine,
}
REMOTE = ("remote-grpc", "remote-http")
ON_A_CARD = ("onnxruntime-cuda", "tensorrt")
BREAKABLE = [name for name in OPENERS if name.startswith(("openvino", "onnxruntime"))]


def remote_engine(server: Server, scheme: str) -> Callable[..., LocalEngine]:
    return lambda bundle, **options: RemoteEngine(server.url(scheme), **options)


def parameters(names: Iterable[str]) -> list:
    return [pytest.param(name, marks=[pytest.mark.needs_cuda] * (name in ON_A_CARD)) for name in names]


@pytest.fixture(params=parameters([*OPENERS, *REMOTE]))
def opener(request: pytest.FixtureRequest) -> Callable[..., LocalEngine]:
    if request.param in REMOTE:
        server = request.getfixturevalue("kserve")
        return remote_engine(server, request.param.removeprefix("remote-"))
    return OPENERS[request.param]


def frames_at(*corners: tuple[int, int]) -> np.ndarray:
    return np.stack([red_square(corner=corner) for corner in corners])


def probability(engine: LocalEngine, frames: np.ndarray) -> np.ndarray:
    return engine.submit(frames).result(WAIT_SECONDS).probability


def test_what_is_red_is_polyp(opener, bundle: Bundle):
    with opener(bundle) as engine:
        found = probability(engine, frames_at((40, 20)))
    assert (found.shape, found.dtype) == ((1, 64, 96), np.uint8)
    inside, outside = found[0, 24:40, 44:60], found[0, :, :32]
    assert inside.min() > 200
    assert outside.max() < 128


@pytest.mark.parametrize(
    ("frames", "named"),
    [
        (np.zeros((1, 64, 96, 3), np.float32), "float32"),
        (np.zeros((64, 96, 3), np.uint8), r"\(64, 96, 3\)"),
        (np.zeros((1, 96, 64, 3), np.uint8), r"\(1, 96, 64, 3\)"),
        (np.zeros((1, 3, 64, 96), np.uint8), r"expected uint8 \(N, 64, 96, 3\)"),
        (np.zeros((0, 64, 96, 3), np.uint8), "0 frames"),
        (np.zeros((2, 64, 96, 3), np.uint8), "2 frames.*opened for 1 to 1"),
    ],
)
def test_wrong_frames_are_refused_by_name(opener, bundle: Bundle, frames: np.ndarray, named: str):
    with opener(bundle) as engine, pytest.raises(EngineError, match=named):
        engine.submit(frames)


def test_a_prediction_tells_its_compute_time(opener, bundle: Bundle):
    with opener(bundle) as engine:
        start = time.perf_counter()
        timing = engine.submit(frames_at((40, 20))).result(WAIT_SECONDS).timing
        elapsed = time.perf_counter() - start
    assert 0 < timing.compute < elapsed


def test_a_batch_equals_its_frames_one_by_one(opener, bundle: Bundle, request):
    frames = frames_at((8, 8), (40, 20), (60, 36))
    with opener(bundle) as single, opener(bundle, batch=4) as batched:
        one_by_one = np.concatenate([probability(single, frame[np.newaxis]) for frame in frames])
        levels = LEVELS if request.node.callspec.params["opener"] in ON_A_CARD else 0
        difference = np.abs(probability(batched, frames).astype(int) - one_by_one)
        assert difference.max() <= levels


def test_frames_that_are_a_view_with_strides(opener, bundle: Bundle):
    wide = np.repeat(frames_at((40, 20)), 2, axis=2)
    with opener(bundle) as engine:
        np.testing.assert_array_equal(
            probability(engine, wide[:, :, ::2]), probability(engine, frames_at((40, 20)))
        )


def test_frames_may_be_overwritten_after_submit_and_results_are_the_callers(opener, bundle: Bundle):
    frames = frames_at((8, 8))
    with opener(bundle) as engine:
        expected = probability(engine, frames).copy()
        future = engine.submit(frames)
        frames[:] = 0
        first = future.result(WAIT_SECONDS).probability
        for _ in range(2 * engine.capacity):
            probability(engine, frames_at((60, 36)))
        np.testing.assert_array_equal(first, expected)
        first[:] = 7  # writable, and no buffer of the engine's
        np.testing.assert_array_equal(probability(engine, frames_at((8, 8))), expected)


def test_many_threads_get_their_own_results(opener, bundle: Bundle):
    corners = [(x, y) for y in (0, 16, 40) for x in (0, 24, 48, 72)]
    with opener(bundle, optimise_for="throughput") as engine:
        expected = {corner: probability(engine, frames_at(corner)) for corner in corners}
        slots = threading.Semaphore(engine.capacity)

        def ask(corner: tuple[int, int]) -> bool:
            with slots:
                return bool(np.array_equal(probability(engine, frames_at(corner)), expected[corner]))

        with ThreadPoolExecutor(6) as pool:
            assert all(pool.map(ask, corners * 5))
    assert len({result.tobytes() for result in expected.values()}) == len(corners)


def test_submit_beyond_capacity_is_busy_and_a_finished_one_makes_room(opener, bundle: Bundle):
    resume, held = threading.Event(), threading.Event()
    with opener(bundle, optimise_for="throughput") as engine:
        step = "_infer" if isinstance(engine, SlotEngine) else "_collect"
        at_once = getattr(engine, step)

        def slow(*arguments: object) -> object:
            held.set()
            assert resume.wait(WAIT_SECONDS)
            return at_once(*arguments)

        setattr(engine, step, slow)  # the library's own speed must not decide this test
        futures = [engine.submit(frames_at((40, 20))) for _ in range(engine.capacity)]
        assert held.wait(WAIT_SECONDS)
        with pytest.raises(EngineBusy, match=f"{engine.capacity} requests are in flight"):
            engine.submit(frames_at((40, 20)))
        resume.set()
        for future in futures:
            future.result(WAIT_SECONDS)
            engine.submit(frames_at((40, 20))).result(WAIT_SECONDS)  # never busy once a result is out


def test_a_callback_may_submit_the_next(opener, bundle: Bundle):
    done: Future[np.ndarray] = Future()
    with opener(bundle) as engine:

        def again(first: Future) -> None:
            second = engine.submit(frames_at((8, 8)))
            second.add_done_callback(lambda future: done.set_result(future.result().probability))

        for _ in range(engine.capacity - 1):
            engine.submit(frames_at((40, 20)))
        engine.submit(frames_at((40, 20))).add_done_callback(again)
        np.testing.assert_array_equal(done.result(WAIT_SECONDS), probability(engine, frames_at((8, 8))))


@pytest.mark.parametrize("backend", parameters(BREAKABLE))
def test_a_failure_inside_the_library_is_set_on_the_future(breakable_bundle: Bundle, backend: str):
    white = np.full((1, 64, 96, 3), 255, np.uint8)
    with OPENERS[backend](breakable_bundle) as engine:
        for _ in range(2 * engine.capacity):  # a failed request gives its slot back
            error = engine.submit(white).exception(WAIT_SECONDS)
            assert isinstance(error, EngineError)
            assert error.__cause__ is not None
            assert "breakable: inference failed" in str(error)
            assert "\n" not in str(error)
        assert probability(engine, frames_at((40, 20)))[0, 32, 52] > 200


def test_close_waits_for_what_is_in_flight(opener, bundle: Bundle):
    engine = opener(bundle, optimise_for="throughput")
    futures = [engine.submit(frames_at((40, 20))) for _ in range(engine.capacity)]
    engine.close()
    assert all(future.result(0).probability[0, 32, 52] > 200 for future in futures)


def test_close_twice_does_nothing_and_ends_the_threads(opener, bundle: Bundle):
    before = threading.active_count()
    engine = opener(bundle)
    assert threading.active_count() > before
    engine.close()
    engine.close()
    assert threading.active_count() == before


def test_submit_after_close_fails(opener, bundle: Bundle):
    engine = opener(bundle)
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.submit(frames_at((40, 20)))


def test_description_names_the_backend(opener, bundle: Bundle):
    with opener(bundle) as engine:
        assert re.match(r"openvino |onnxruntime |stub, |remote |tensorrt(-rtx)? ", engine.description)
        assert engine.spec == bundle.spec
