import sys
from pathlib import Path

import onnxruntime
import pytest

from rtpolyp.errors import BackendError
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.onnxruntime import OnnxRuntimeCudaEngine, OnnxRuntimeEngine


def test_threads_and_streams(bundle: Bundle):
    with OnnxRuntimeEngine(bundle, threads=1) as engine:
        assert engine.capacity == 1
        assert engine.description == "onnxruntime fp32 on CPU, streams 1, threads 1"
    with OnnxRuntimeEngine(bundle, "int8", optimise_for="throughput", threads=2) as engine:
        assert engine.capacity == 2
        assert engine.description == "onnxruntime int8 on CPU, streams 2, threads 2"


def test_bf16_fails(bundle: Bundle):
    with pytest.raises(BackendError, match="onnxruntime runs fp32 and int8, not bf16"):
        OnnxRuntimeEngine(bundle, "bf16")


def test_a_provider_that_is_not_installed_fails(bundle: Bundle):
    with pytest.raises(BackendError, match=r"no AbacusExecutionProvider, only .*CPUExecutionProvider; "):
        OnnxRuntimeEngine(bundle, providers=("AbacusExecutionProvider", "CPUExecutionProvider"))


def test_without_the_library_fails(bundle: Bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendError, match=r"onnxruntime is not usable .*; pip install onnxruntime"):
        OnnxRuntimeEngine(bundle)


def test_a_file_that_is_no_network_fails_on_one_line(bundle: Bundle, tmp_path: Path):
    (tmp_path / "model.onnx").write_bytes(b"not an ONNX file")
    with pytest.raises(BackendError, match=r"^[^\n]*model\.onnx: ONNX Runtime cannot run it [^\n]*$"):
        OnnxRuntimeEngine(Bundle(tmp_path, bundle.spec))


def test_cuda_that_is_not_installed_names_the_package(bundle: Bundle):
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this installation has it")
    with pytest.raises(BackendError, match=r'no CUDAExecutionProvider, .*pip install "onnxruntime-gpu'):
        OnnxRuntimeCudaEngine(bundle)


def test_cuda_in_another_precision_fails(bundle: Bundle):
    assert OnnxRuntimeCudaEngine.precisions(bundle) == ("fp32",)
    with pytest.raises(BackendError, match="onnxruntime runs fp32 on CUDA, not int8; build a plan"):
        OnnxRuntimeCudaEngine(bundle, "int8")


def test_a_provider_that_silently_falls_back_to_the_processor_fails(bundle: Bundle, monkeypatch):
    """As onnxruntime-gpu does where CUDA's libraries or the driver are missing."""
    available = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    with (
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(
            BackendError, match="runs it on CPUExecutionProvider alone, since CUDAExecutionProvider"
        ),
    ):
        OnnxRuntimeCudaEngine(bundle)
