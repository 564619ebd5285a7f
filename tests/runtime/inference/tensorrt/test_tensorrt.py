"""TensorRtEngine with both flavours' calls simulated; the contract suite runs on it as well."""

import contextlib
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rtpolyp.errors import BackendError, EngineError, ForeignPlan
from rtpolyp.inference.nvidia_card import Card, find_card
from rtpolyp.inference.tensorrt import engine as tensorrt
from rtpolyp.inference.tensorrt.cuda import CudaDevice
from rtpolyp.inference.tensorrt.engine import TensorRtEngine
from rtpolyp.inference.tensorrt.flavour import FLAVOURS, Flavour
from rtpolyp.inference.tensorrt.plan import Plan
from tests.runtime.simulated_device import WAIT_SECONDS, SimulatedDevice
from tests.runtime.simulated_network import SPEC, noise
from tests.runtime.simulated_tensorrt import CARD, SimulatedTensorRt, simulated_plan
from tests.runtime.stub_engine import redness


@pytest.fixture(params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    return request.param


@pytest.fixture
def plan(tmp_path: Path, flavour: Flavour) -> Plan:
    return simulated_plan(tmp_path, SPEC, flavour)


@contextlib.contextmanager
def opened(plan: Plan, tmp_path: Path, **options) -> Iterator[tuple[TensorRtEngine, SimulatedTensorRt]]:
    trt = SimulatedTensorRt(SimulatedDevice(), plan)
    with trt.installed(), TensorRtEngine(plan, cache=tmp_path / "cache", **options) as engine:
        yield engine, trt
    assert trt.device.hazards == []


def test_description_and_slots(plan: Plan, tmp_path: Path, flavour: Flavour):
    with opened(plan, tmp_path) as (engine, trt):
        assert engine.description == f"{flavour} fp16 on NVIDIA Simulated, streams 3, CUDA graphs"
        assert engine.capacity == 3
        assert engine.spec == SPEC
    assert trt.device.calls["create_execution_context"] == 3


def test_tensorrt_is_captured_and_rtx_replays_by_itself(plan: Plan, tmp_path: Path, flavour: Flavour):
    with opened(plan, tmp_path) as (engine, trt):
        before = trt.device.calls["execute_async_v3"]
        for index in range(3):
            found = engine.submit(noise(index)).result(WAIT_SECONDS).probability
            np.testing.assert_array_equal(found, redness(noise(index)))
        assert trt.device.calls["execute_async_v3"] - before == (0 if flavour == "tensorrt" else 3)
    assert trt.device.graphs == (3 if flavour == "tensorrt" else 0)


def test_every_number_of_frames_has_its_shape(plan: Plan, tmp_path: Path):
    with opened(plan, tmp_path, batch=4) as (engine, _):
        for count in (1, 4, 2, 3):
            found = engine.submit(noise(count, count)).result(WAIT_SECONDS).probability
            np.testing.assert_array_equal(found, redness(noise(count, count)))


def test_a_plan_for_many_frames_runs_fewer(tmp_path: Path, flavour: Flavour):
    plan = simulated_plan(tmp_path, SPEC, flavour, batch=(4, 4, 4))
    with opened(plan, tmp_path) as (engine, _):
        found = engine.submit(noise(0)).result(WAIT_SECONDS).probability
        np.testing.assert_array_equal(found, redness(noise(0)))


def test_more_frames_than_the_plan_takes_fail(plan: Plan, tmp_path: Path):
    with (
        pytest.raises(BackendError, match=r"\.engine: takes at most 4 frames.* 5; build it with batch 1:5:5"),
        opened(plan, tmp_path, batch=5),
    ):
        pass


def test_without_a_card_the_plan_is_foreign(plan: Plan):
    if find_card() is not None:
        pytest.skip("there is a card")
    with pytest.raises(
        ForeignPlan,
        match=r"\.engine: built for .*; no NVIDIA card is visible here, and no plan runs without one",
    ):
        TensorRtEngine(plan)


def test_on_another_card_the_plan_is_foreign(plan: Plan, monkeypatch):
    monkeypatch.setattr(tensorrt, "find_card", lambda: Card("NVIDIA H100", "sm90", "13.0", None))
    with pytest.raises(
        ForeignPlan, match=r"built for .*sm89.*; this card is NVIDIA H100 \(sm90\)\. Rebuild: "
    ):
        TensorRtEngine(plan)


def test_without_pycuda_the_remedy_is_told(plan: Plan, tmp_path: Path, monkeypatch):
    trt = SimulatedTensorRt(SimulatedDevice(), plan)
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    with (
        trt.installed(CudaDevice=CudaDevice),
        pytest.raises(BackendError, match=r"pycuda is not usable .*; python scripts/install_pycuda\.py"),
    ):
        TensorRtEngine(plan, cache=tmp_path)


def test_a_plan_that_tensorrt_refuses_says_why_and_what_to_do(plan: Plan, tmp_path: Path, flavour: Flavour):
    trt = SimulatedTensorRt(SimulatedDevice(), plan, refuses="deserialize_cuda_engine")
    with trt.installed(), pytest.raises(BackendError) as caught:
        TensorRtEngine(plan, cache=tmp_path)
    version = plan.spec.tensorrt_version
    assert str(caught.value) == (
        f"{plan.path}: built for {plan.spec.built_for}; {flavour} {version} on {CARD} refuses it "
        f"(deserialize_cuda_engine has its reasons). Rebuild: {plan.spec.rebuild}"
    )
    assert trt.device.handed_out == 0


@pytest.mark.parametrize(
    "call", ["create_execution_context", "set_input_shape", "set_tensor_address", "execute_async_v3"]
)
def test_a_call_that_says_no_while_opening_fails(plan: Plan, tmp_path: Path, call: str):
    trt = SimulatedTensorRt(SimulatedDevice(), plan, refuses=call)
    with trt.installed(), pytest.raises(BackendError, match=rf"\w+: {call} has its reasons\); try another"):
        TensorRtEngine(plan, cache=tmp_path)
    assert trt.device.hazards == []


def test_an_enqueue_that_says_no_fails_its_request(tmp_path: Path):
    plan = simulated_plan(tmp_path, SPEC, "tensorrt-rtx")
    with opened(plan, tmp_path) as (engine, trt):
        trt.refuses = "execute_async_v3"
        error = engine.submit(noise(0)).exception(WAIT_SECONDS)
        assert isinstance(error, EngineError)
        assert "(enqueue: execute_async_v3 has its reasons) on tensorrt-rtx" in str(error)
        trt.refuses = None
        engine.submit(noise(0)).result(WAIT_SECONDS)


def kernels_of(folder: Path) -> list[Path]:
    return sorted((folder / "cache").glob("rtx-kernels-*.cache"))


def test_rtx_compiles_once_says_so_and_keeps_its_kernels(tmp_path: Path, caplog):
    plan = simulated_plan(tmp_path, SPEC, "tensorrt-rtx")
    with caplog.at_level(logging.WARNING), opened(plan, tmp_path) as (_, trt):
        assert trt.compilations == 1
    (record,) = caplog.records
    assert re.search(r"\.engine: compiling its kernels for NVIDIA Simulated \(sm89\), once;", record.message)
    (path,) = kernels_of(tmp_path)
    assert path.read_bytes() == b"kernels"
    caplog.clear()
    with caplog.at_level(logging.WARNING), opened(plan, tmp_path) as (_, trt):
        assert trt.compilations == 0
    assert not caplog.records


def test_kernels_are_for_one_plan_card_and_driver(tmp_path: Path):
    plan = simulated_plan(tmp_path, SPEC, "tensorrt-rtx")
    with opened(plan, tmp_path):
        pass
    for card in (
        Card(CARD.name, CARD.capability, CARD.cuda, "590.1"),
        Card(CARD.name, CARD.capability, "13.1", CARD.driver),
    ):
        trt = SimulatedTensorRt(SimulatedDevice(), plan)
        with trt.installed(find_card=lambda card=card: card):
            TensorRtEngine(plan, cache=tmp_path / "cache").close()
        assert trt.compilations == 1
    assert len(kernels_of(tmp_path)) == 3


def test_kernels_that_the_library_refuses_are_compiled_anew(tmp_path: Path, caplog):
    plan = simulated_plan(tmp_path, SPEC, "tensorrt-rtx")
    with opened(plan, tmp_path):
        pass
    (path,) = kernels_of(tmp_path)
    path.write_bytes(b"torn")
    with opened(plan, tmp_path) as (_, trt):
        assert trt.compilations == 1
    assert path.read_bytes() == b"kernels"


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path: Path):
    plan = simulated_plan(tmp_path, SPEC, "tensorrt-rtx")
    (tmp_path / "cache").write_text("a file")
    with opened(plan, tmp_path) as (engine, _):
        assert len(engine.submit(noise(0)).result(WAIT_SECONDS).probability) == len(noise(0))
    assert (tmp_path / "cache").read_text() == "a file"
