import sys
from pathlib import Path

import pytest

from rtpolyp.errors import BackendError
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.onnxruntime import OnnxRuntimeEngine


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
    with pytest.raises(BackendError, match=r"no AbacusExecutionProvider; .* has .*CPUExecutionProvider"):
        OnnxRuntimeEngine(bundle, providers=("AbacusExecutionProvider", "CPUExecutionProvider"))


def test_without_the_library_fails(bundle: Bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendError, match=r"onnxruntime is not usable .*; pip install onnxruntime"):
        OnnxRuntimeEngine(bundle)


def test_a_file_that_is_no_network_fails_on_one_line(bundle: Bundle, tmp_path: Path):
    (tmp_path / "model.onnx").write_bytes(b"not an ONNX file")
    with pytest.raises(BackendError, match=r"^[^\n]*model\.onnx: ONNX Runtime cannot run it [^\n]*$"):
        OnnxRuntimeEngine(Bundle(tmp_path, bundle.spec))
