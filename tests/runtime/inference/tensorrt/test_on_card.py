"""What only a card can show: a real plan of the shipped bundle, parity, graphs, throughput, and no leak."""

import logging
import sys
from collections import deque
from pathlib import Path

import numpy as np
import pytest

from rtpolyp.errors import BackendError, CorruptPlan
from rtpolyp.inference.bundle import load_bundle
from rtpolyp.inference.onnxruntime import OnnxRuntimeEngine
from rtpolyp.inference.tensorrt.cuda import CudaDevice
from rtpolyp.inference.tensorrt.engine import TensorRtEngine
from rtpolyp.inference.tensorrt.plan import Plan, read_plan, write_plan
from rtpolyp.measure.parity import compare_masks, probabilities
from rtpolyp.measure.plan_gate import phantom_frames
from scripts.gpu.figures import measured
from scripts.gpu.plan import LEAST_DICE, bare_loop
from tests.runtime.on_card import LEVELS, built_plan

pytestmark = pytest.mark.needs_cuda

LEAST_RATIO = 0.9  # of 3 slots to a bare loop; the goal is 0.95, and a test leaves room for a busy machine
SPARE_BYTES = 64 << 20  # by which free memory may move by itself: kernels that were loaded stay loaded


@pytest.fixture(scope="module")
def plan() -> Plan:
    return built_plan(load_bundle().folder, red_squares=False)


def noise(plan: Plan, count: int = 1, seed: int = 0) -> np.ndarray:
    size = plan.spec.engine.height, plan.spec.engine.width
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), np.uint8)


def test_masks_are_those_of_onnx_runtime(plan: Plan):
    frames = phantom_frames().images
    with TensorRtEngine(plan) as engine, OnnxRuntimeEngine(load_bundle()) as reference:
        parity = compare_masks(probabilities(reference, frames), probabilities(engine, frames))
    assert parity.dice >= LEAST_DICE


def test_graphs_are_used_and_change_nothing(plan: Plan, monkeypatch):
    with TensorRtEngine(plan) as engine:
        assert engine.description.endswith("streams 3, CUDA graphs")
        with_graphs = engine.submit(noise(plan)).result().probability
    if plan.spec.flavour == "tensorrt-rtx":
        return  # replays by itself
    monkeypatch.setattr(CudaDevice, "capture", lambda self, stream, enqueue: enqueue)
    with TensorRtEngine(plan) as engine:
        np.testing.assert_array_equal(engine.submit(noise(plan)).result().probability, with_graphs)


def test_without_cuda_bindings_it_runs_call_by_call_and_says_so(plan: Plan, monkeypatch, caplog):
    if plan.spec.flavour == "tensorrt-rtx":
        pytest.skip("replays by itself")
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", None)
    with caplog.at_level(logging.WARNING), TensorRtEngine(plan) as engine:
        assert engine.description.endswith("no CUDA graphs")
        engine.submit(noise(plan)).result()
    assert "no CUDA graph" in caplog.text


def test_slots_in_flight_give_what_one_at_a_time_gives(plan: Plan):
    with TensorRtEngine(plan) as engine:
        frames = [noise(plan, seed=seed) for seed in range(40)]
        expected = [engine.submit(frame).result().probability for frame in frames]
        waiting, found = deque(), []
        for frame in frames:
            if len(waiting) == engine.capacity:
                found.append(waiting.popleft().result().probability)
            waiting.append(engine.submit(frame))
        found += [future.result().probability for future in waiting]
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_number_of_frames(plan: Plan):
    with TensorRtEngine(plan, batch=4) as engine:
        frames = noise(plan, 4)
        one_by_one = np.concatenate(
            [engine.submit(frame[np.newaxis]).result().probability for frame in frames]
        )
        for count in (4, 2, 3):
            found = engine.submit(frames[:count]).result().probability
            assert np.abs(found.astype(int) - one_by_one[:count]).max() <= LEVELS


def test_the_parts_make_up_the_latency(plan: Plan):
    with TensorRtEngine(plan) as engine:
        figures = measured(engine, 1.0)["figures"]
    parts = sum(figures[part]["median"] for part in ("h2d", "compute", "d2h"))
    assert 0 < parts < figures["latency"]["median"]


def test_slots_keep_the_card_as_busy_as_a_bare_loop(plan: Plan):
    with TensorRtEngine(plan) as engine:
        ratios = []
        for _ in range(5):
            slots = measured(engine, 0.5, in_flight=engine.capacity)["figures"]["throughput"]["median"]
            ratios.append(slots / bare_loop(plan, 0.5))
    assert np.median(ratios) >= LEAST_RATIO


def test_opening_and_closing_leaks_no_memory(plan: Plan):
    def free() -> int:
        import pycuda.driver

        with CudaDevice():
            return pycuda.driver.mem_get_info()[0]

    TensorRtEngine(plan).close()
    before = free()
    for _ in range(5):
        with TensorRtEngine(plan) as engine:
            engine.submit(noise(plan)).result()
    assert free() > before - SPARE_BYTES


def test_rtx_kernels_are_compiled_once(plan: Plan, tmp_path: Path, caplog):
    if plan.spec.flavour != "tensorrt-rtx":
        pytest.skip("compiles while it builds")
    for times in (1, 1):  # the second start says nothing more
        with caplog.at_level(logging.WARNING):
            TensorRtEngine(plan, cache=tmp_path).close()
        assert caplog.text.count("compiling its kernels") == times


def test_bytes_that_the_hash_vouches_for_but_tensorrt_does_not_know(plan: Plan, tmp_path: Path):
    path = tmp_path / plan.path.name
    write_plan(path, plan.content[:-4096], plan.spec)
    with pytest.raises(CorruptPlan, match="SHA-256"):
        read_plan(path)
    torn = Plan(path, plan.spec, plan.content[: len(plan.content) // 2])
    with pytest.raises(BackendError, match=r"refuses it \(.+\)\. Rebuild: "):
        TensorRtEngine(torn)
