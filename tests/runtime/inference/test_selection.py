import functools
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rtpolyp.inference.calibrated as calibrated
from rtpolyp.errors import BackendError, EngineError, InputError
from rtpolyp.inference import open_engine
from rtpolyp.inference.backends import BACKENDS
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.calibrated import CalibratedBackend
from rtpolyp.inference.calibration import measure
from rtpolyp.inference.openvino import OpenVinoEngine
from tests.runtime.tiny_bundle import red_square


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(calibrated, "measure", functools.partial(measure, seconds=0.1))
    return tmp_path / "cache"


def test_auto_measures_once_and_says_so(bundle: Bundle, cache: Path):
    with open_engine(bundle.folder) as first:
        assert first.description.startswith("openvino ")
        assert first.description.endswith("calibrated just now")
        found = first.submit(red_square()[np.newaxis]).result(20).probability
        assert found[0, 32, 52] > 200
    assert len(list(cache.iterdir())) == 1
    with open_engine(bundle.folder) as second:
        assert second.description == first.description.replace("just now", "before")
    with open_engine(bundle.folder, cache=cache / "another") as third:
        assert third.description.endswith("calibrated just now")


@pytest.mark.parametrize("chosen", ["fp32", "bf16", "int8"])
def test_the_fastest_is_taken_and_the_reason_told(bundle: Bundle, monkeypatch, chosen: str):
    precisions = OpenVinoEngine.precisions(bundle)
    if chosen not in precisions:
        pytest.skip(f"this processor has no {chosen} arithmetic")
    times = {precision: 1.5 if precision == chosen else 12.25 for precision in precisions}
    monkeypatch.setattr(calibrated, "measure", lambda engines: times)
    with open_engine(bundle.folder) as engine:
        others = ", ".join(f"{precision} 12.2" for precision in precisions if precision != chosen)
        assert f"openvino {chosen}, " in engine.description
        assert f": 1.5 ms a frame against {others}; " in engine.description


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_a_forced_precision_is_not_measured(bundle: Bundle, cache: Path, precision: str):
    if precision not in OpenVinoEngine.precisions(bundle):
        pytest.skip(f"this processor has no {precision} arithmetic")
    with open_engine(bundle.folder, precision=precision) as engine:
        assert engine.description.startswith(f"openvino {precision}, ")
        assert engine.description.endswith("(precision as asked)")
    assert not cache.exists()


def test_a_forced_precision_that_cannot_work_fails(bundle: Bundle):
    with pytest.raises(BackendError, match="onnxruntime runs fp32 and int8, not bf16"):
        open_engine(bundle.folder, backend="onnxruntime", precision="bf16")


def test_a_forced_backend(bundle: Bundle):
    with open_engine(bundle.folder, backend="onnxruntime") as engine:
        assert engine.description.startswith("onnxruntime ")


def test_a_forced_backend_that_is_missing_fails(bundle: Bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendError, match="openvino is not usable"):
        open_engine(bundle.folder, backend="openvino")


def test_without_openvino_onnx_runtime_takes_over_with_one_warning(bundle: Bundle, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with caplog.at_level(logging.WARNING), open_engine(bundle.folder) as engine:
        assert engine.description.startswith("onnxruntime ")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message.startswith("openvino is not usable")
    assert record.message.endswith("using onnxruntime instead")


def test_without_any_library_the_preferred_ones_remedy_is_told(bundle: Bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendError, match="pip install openvino"):
        open_engine(bundle.folder)


def test_a_candidate_that_does_not_open_is_left_out_aloud(bundle: Bundle, monkeypatch, caplog):
    class NoInt8(OpenVinoEngine):
        def __init__(self, bundle, precision="fp32", **options):
            if precision == "int8":
                raise BackendError("model.int8.onnx: broken")
            super().__init__(bundle, precision, **options)

    monkeypatch.setitem(BACKENDS, "openvino", CalibratedBackend(NoInt8, ("fp32", "bf16", "int8")))
    with caplog.at_level(logging.WARNING), open_engine(bundle.folder) as engine:
        assert "int8" not in engine.description
    assert [record.message for record in caplog.records] == ["model.int8.onnx: broken; going on without int8"]


def test_options_reach_the_engine(bundle: Bundle):
    with open_engine(
        bundle.folder, precision="fp32", optimise_for="throughput", threads=2, batch=3
    ) as engine:
        assert engine.capacity == 2
        found = engine.submit(np.stack([red_square()] * 3)).result(20).probability
        assert found.shape == (3, 64, 96)


@pytest.mark.parametrize("precision", ["auto", "fp32", "int8"])
def test_another_input_size(bundle: Bundle, cache: Path, precision: str):
    with open_engine(bundle.folder, precision=precision, size=(64, 32)) as engine:
        assert engine.spec.size == (64, 32)
        found = engine.submit(red_square((64, 32), corner=(40, 4))[np.newaxis]).result(20).probability
    assert found.shape == (1, 32, 64)
    assert found[0, 8:18, 44:54].min() > 200
    assert found[0, :, :32].max() < 128
    with open_engine(bundle.folder, precision=precision) as engine:  # is calibrated on its own
        assert engine.spec == bundle.spec
    assert len(list(cache.iterdir()) if cache.exists() else []) == (2 if precision == "auto" else 0)


def test_the_bundles_own_size_may_be_said_to_any_backend(bundle: Bundle):
    with open_engine(bundle.folder, backend="onnxruntime", size=(96, 64)) as engine:
        assert engine.spec == bundle.spec


def test_another_input_size_without_openvino_fails(bundle: Bundle, monkeypatch):
    told = "onnxruntime runs tiny at its own input size; use backend openvino"
    with pytest.raises(BackendError, match=told):
        open_engine(bundle.folder, backend="onnxruntime", size=(64, 32))
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendError, match="openvino is not usable"):
        open_engine(bundle.folder, size=(64, 32))


def test_another_input_size_of_a_plan_fails():
    with pytest.raises(InputError, match="a plan's input size is built in; leave the size out"):
        open_engine("pranet-if.engine", size=(64, 32))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"backend": "abacus"},
            "backend 'abacus' is unknown; there are: auto, tensorrt, onnxruntime-cuda, openvino, onn",
        ),
        ({"precision": "fp8"}, "precision 'fp8' is unknown; there are: auto, fp32, fp16, bf16, int8"),
        ({"optimise_for": "fun"}, "optimise_for 'fun' is unknown"),
        ({"threads": 0}, "threads 0: give at least 1"),
        ({"batch": 0}, "batch 0: give at least 1"),
        ({"size": (224, 200)}, "size 224x200: give multiples of 32, such as 224x224"),
        ({"size": (0, 224)}, "size 0x224: give multiples of 32"),
    ],
)
def test_an_option_that_makes_no_sense_fails(bundle: Bundle, options, message: str):
    with pytest.raises(InputError, match=message):
        open_engine(bundle.folder, **options)


def test_an_unknown_bundle_fails():
    with pytest.raises(EngineError, match="no such bundle"):
        open_engine("no-such-bundle")


def test_importing_it_imports_no_inference_library():
    code = (
        "import sys, rtpolyp.inference; print([m for m in ('openvino', 'onnxruntime') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
