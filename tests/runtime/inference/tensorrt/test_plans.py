"""Which plan is opened, and what is said where none can be; the card is simulated."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest

from rtpolyp.cli import run_command_line
from rtpolyp.errors import BackendError, CorruptPlan, EngineError, ForeignPlan, InputError
from rtpolyp.inference import open_engine, selection
from rtpolyp.inference.bundle import Bundle, load_bundle
from rtpolyp.inference.nvidia_card import Card, find_card
from rtpolyp.inference.tensorrt.flavour import Flavour
from rtpolyp.inference.tensorrt.plan import Plan
from tests.runtime.simulated_device import SimulatedDevice
from tests.runtime.simulated_tensorrt import CARD, SimulatedTensorRt, simulated_plan
from tests.runtime.stub_engine import redness
from tests.runtime.tiny_bundle import red_square


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def own(own_copy: Path) -> Bundle:
    return load_bundle(own_copy)


def plan_beside(bundle: Bundle, flavour: Flavour = "tensorrt-rtx", **changes) -> Plan:
    digest = changes.pop("bundle_digest", bundle.digest)
    return simulated_plan(bundle.folder.parent, bundle.spec, flavour, bundle_digest=digest, **changes)


@pytest.fixture
def card() -> Iterator[Card]:
    """The selection sees a card; what runs on it is up to the test."""
    with mock.patch.object(selection, "find_card", return_value=CARD):
        yield CARD


@pytest.fixture
def no_card() -> None:
    if find_card() is not None:
        pytest.skip("there is a card")


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


def test_without_card_and_plan_nothing_is_said(own: Bundle, no_card, caplog):
    with open_engine(own.folder, precision="fp32") as engine:
        assert engine.description.startswith("openvino ")
    assert warnings_of(caplog) == []


def test_a_plan_beside_the_bundle_is_taken(own: Bundle, card, caplog):
    plan = plan_beside(own)
    with SimulatedTensorRt(SimulatedDevice(), plan).installed(), open_engine(own.folder, batch=2) as engine:
        assert engine.description.startswith("tensorrt-rtx fp16 on NVIDIA Simulated")
        frames = np.stack([red_square()] * 2)
        np.testing.assert_array_equal(engine.submit(frames).result(20).probability, redness(frames))
    assert [line for line in warnings_of(caplog) if "instead" in line] == []


def test_a_plan_without_a_card_is_passed_over_aloud(own: Bundle, no_card, caplog):
    plan = plan_beside(own, precision="fp32")
    with open_engine(own.folder, precision="fp32") as engine:
        assert engine.description.startswith("openvino ")
    (said,) = warnings_of(caplog)
    assert said.startswith(f"{plan.path}: built for tensorrt-rtx")
    assert "no NVIDIA card is visible here, and no plan runs without one" in said
    assert said.endswith("using openvino instead")


def test_a_card_without_a_plan_says_how_to_build_one(own: Bundle, card, caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with open_engine(own.folder, precision="fp32") as engine:
        assert engine.description.startswith("openvino ")
    plan, cuda = warnings_of(caplog)
    assert "no fp32 TensorRT plan of tiny; build one: python scripts/build_engine.py --bundle " in plan
    assert "onnxruntime is not usable" in cuda
    assert plan.endswith("using openvino instead")
    assert cuda.endswith("using openvino instead")


def test_backend_tensorrt_without_a_plan_fails(own: Bundle):
    with pytest.raises(
        BackendError, match=r"no TensorRT plan of tiny; build one: python scripts/build_engine"
    ):
        open_engine(own.folder, backend="tensorrt")


def test_backend_tensorrt_raises_what_is_wrong_with_the_plan(own: Bundle, no_card):
    plan = plan_beside(own)
    with pytest.raises(ForeignPlan, match="no NVIDIA card is visible here"):
        open_engine(own.folder, backend="tensorrt")
    plan.path.write_bytes(plan.content + b"!")
    with pytest.raises(CorruptPlan, match="SHA-256"):
        open_engine(own.folder, backend="tensorrt")


def test_a_tampered_plan_is_passed_over_aloud(own: Bundle, card, caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    plan = plan_beside(own)
    plan.path.write_bytes(plan.content + b"!")
    with open_engine(own.folder, precision="fp32") as engine:
        assert engine.description.startswith("openvino ")
    assert "was changed after it was built" in warnings_of(caplog)[0]


def test_a_plan_of_another_export_is_not_run(own: Bundle, card):
    plan = plan_beside(own, bundle_digest="f" * 16)
    trt = SimulatedTensorRt(SimulatedDevice(), plan)
    with trt.installed(), pytest.raises(BackendError, match=r"built from another export of tiny\. Rebuild: "):
        open_engine(own.folder, backend="tensorrt")


def test_an_untrained_plan_is_never_taken_by_itself(own: Bundle, card):
    plan = plan_beside(own, trained=False)
    trt = SimulatedTensorRt(SimulatedDevice(), plan)
    with trt.installed(), pytest.raises(BackendError, match="no TensorRT plan of tiny"):
        open_engine(own.folder, backend="tensorrt")


def test_an_untrained_plan_is_refused_by_name(own: Bundle, card):
    plan = plan_beside(own, trained=False)
    with (
        SimulatedTensorRt(SimulatedDevice(), plan).installed(),
        pytest.raises(EngineError, match="built with random weights, for latency alone"),
    ):
        open_engine(plan.path)


def test_the_precision_asked_for_is_looked_for(own: Bundle, card):
    plan = plan_beside(own, "tensorrt", precision="fp32")
    with SimulatedTensorRt(SimulatedDevice(), plan).installed():
        with open_engine(own.folder, precision="fp32") as engine:
            assert engine.description.startswith("tensorrt fp32 on ")
        with pytest.raises(BackendError, match="no int8 TensorRT plan of tiny"):
            open_engine(own.folder, precision="int8", backend="tensorrt")
        with open_engine(plan.path) as engine:
            assert engine.description.startswith("tensorrt fp32 on ")
        with pytest.raises(InputError, match="computes in fp32, not fp16; leave the precision out"):
            open_engine(plan.path, precision="fp16")


def test_of_several_plans_the_first_that_runs_is_taken(own: Bundle, card):
    other = plan_beside(own, "tensorrt-rtx", capabilities=("sm86",))
    plan = plan_beside(own, "tensorrt")
    assert other.path < plan.path
    with SimulatedTensorRt(SimulatedDevice(), plan).installed(), open_engine(own.folder) as engine:
        assert engine.description.startswith("tensorrt ")


def test_a_plan_on_another_backend_fails(own: Bundle):
    plan = plan_beside(own)
    with pytest.raises(
        InputError, match="is a TensorRT plan, which openvino cannot run; leave the backend out"
    ):
        open_engine(plan.path, backend="openvino")


def run(engine: Path, folder: Path) -> int:
    cv2.imwrite(str(folder / "one.png"), red_square())
    return run_command_line(["run", str(folder / "one.png"), "--engine", str(engine)])


def test_run_with_a_plan_without_a_card_is_one_line(own: Bundle, no_card, tmp_path: Path, capsys):
    plan = plan_beside(own)
    assert run(plan.path, tmp_path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"rtpolyp: {plan.path}: built for tensorrt-rtx 1.7.1.116, sm89")
    assert "; no NVIDIA card is visible here, and no plan runs without one: run it on such a card" in line


def test_run_with_an_untrained_plan_is_one_line(own: Bundle, tmp_path: Path, capsys):
    assert run(plan_beside(own, trained=False).path, tmp_path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "built with random weights, for latency alone" in line


@pytest.mark.parametrize("name", ["absent.engine", "absent.plan", "foreign.engine"])
def test_run_with_what_is_no_plan_is_one_line(tmp_path: Path, capsys, name: str):
    (tmp_path / "foreign.engine").write_bytes(b"anything")
    (tmp_path / "foreign.json").write_text("{}")
    assert run(tmp_path / name, tmp_path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"rtpolyp: {tmp_path / name}: ")
    assert line.endswith("; build it again")
