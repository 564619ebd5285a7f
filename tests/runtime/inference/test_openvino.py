import importlib
import os
import subprocess
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.errors import BackendError
from rtpolyp.inference import openvino as backend
from rtpolyp.inference.bundle import Bundle, load_bundle
from rtpolyp.inference.onnxruntime import OnnxRuntimeEngine
from rtpolyp.inference.openvino import OpenVinoEngine, interpolation
from tests.runtime.tiny_bundle import red_square, write_tiny_bundle

LEVELS = 1  # of 255: FP32 sums in another order may round a probability to its neighbour
BF16_LEVELS = 8  # eight bits of mantissa, at the steepest point of the sigmoid

frames = red_square()[np.newaxis]


class OldProcessor:
    """OpenVINO's Core on a processor with AVX2 alone."""

    def __init__(self, core) -> None:
        self._core = core
        self.available_devices = core.available_devices

    def get_property(self, device: str, name: str):
        if name == "OPTIMIZATION_CAPABILITIES":
            return ["FP32", "INT8"]
        return self._core.get_property(device, name)


def probability(engine) -> np.ndarray:
    with engine:
        return engine.submit(frames).result(20).probability.astype(int)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_agrees_with_onnx_runtime(bundle: Bundle, precision):
    ours = probability(OpenVinoEngine(bundle, precision))
    assert np.abs(ours - probability(OnnxRuntimeEngine(bundle, precision))).max() <= LEVELS


def test_bf16_is_near_fp32_and_not_the_same(bundle: Bundle):
    if "bf16" not in OpenVinoEngine.precisions(bundle):
        pytest.skip("this processor has no bf16 arithmetic")
    difference = np.abs(probability(OpenVinoEngine(bundle, "bf16")) - probability(OpenVinoEngine(bundle)))
    assert 0 < difference.max() <= BF16_LEVELS


@pytest.mark.parametrize(("small", "large"), [((6, 9), (12, 36)), ((5, 5), (5, 40)), ((1, 3), (4, 7))])
def test_resizing_by_matrices_is_the_bilinear_resize(small, large):
    image = np.random.default_rng(0).normal(size=small).astype(np.float32)
    rows, columns = (interpolation(*sides) for sides in zip(small, large, strict=True))
    expected = cv2.resize(image, large[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(rows @ image @ columns.T, expected, atol=1e-5)


def test_maps_of_one_channel_are_resized_by_matrices_and_no_others():
    with OpenVinoEngine(load_bundle("pranet-if"), "fp32") as engine:
        graph = engine._requests[0].get_compiled_model().get_runtime_model()
    kinds = [(op.get_rt_info()["layerType"], op.get_output_shape(0)) for op in graph.get_ordered_ops()]
    resized = [shape[1] for kind, shape in kinds if kind == "Interpolate"]
    assert resized
    assert 1 not in resized


def test_fp32_is_exact_although_openvino_would_take_bf16_by_itself(bundle: Bundle):
    compiled = OpenVinoEngine(bundle, "fp32")._requests[0].get_compiled_model()
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"


def test_threads_and_streams(bundle: Bundle):
    with OpenVinoEngine(bundle, threads=1) as engine:
        assert engine.capacity == 1
        assert engine.description == "openvino fp32, streams 1, threads 1"
    with OpenVinoEngine(bundle, optimise_for="throughput", threads=2) as engine:
        assert engine.capacity == 2
        assert engine.description == "openvino fp32, streams 2, threads 2"


def test_bf16_on_a_processor_without_it_fails(bundle: Bundle, monkeypatch):
    core = OldProcessor(backend._core())
    monkeypatch.setattr(backend, "_core", lambda: core)
    assert OpenVinoEngine.precisions(bundle) == ("fp32", "int8")
    with pytest.raises(BackendError, match=r"bf16: .* has no bf16 arithmetic; choose precision fp32 or int8"):
        OpenVinoEngine(bundle, "bf16")


def test_int8_without_its_file_fails(bundle: Bundle):
    spec = type(bundle.spec)(**{**vars(bundle.spec), "files": {"fp32": "model.onnx"}})
    with pytest.raises(BackendError, match="no int8 model in this bundle; it has fp32"):
        OpenVinoEngine(Bundle(bundle.folder, spec), "int8")


def test_without_the_library_fails(bundle: Bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendError, match=r"openvino is not usable .*; pip install openvino"):
        OpenVinoEngine(bundle)


def test_a_file_that_is_no_network_fails_on_one_line(bundle: Bundle, tmp_path: Path):
    (tmp_path / "model.onnx").write_bytes(b"not an ONNX file")
    with pytest.raises(BackendError, match=r"^[^\n]*model\.onnx: OpenVINO cannot run it as fp32 [^\n]*$"):
        OpenVinoEngine(Bundle(tmp_path, bundle.spec))


def test_the_shipped_int8_gives_the_same_bytes_without_vnni(tmp_path: Path):
    """AVX2 alone saturates unless the weights leave room; oneDNN reads its limit once per process.

    With 8-bit weights, noise like this came out up to 209 levels apart. AMX has kernels of its own, which
    round otherwise: up to 35 levels here, and 0.1 % of the pixels on the other side of 0.5.
    """
    code = """
import sys, cv2, numpy as np
from rtpolyp.inference import open_engine
with open_engine(precision="int8") as engine:
    noise = np.random.default_rng(5).integers(0, 2, (8, 8, 3), np.uint8) * np.uint8(255)
    frame = cv2.resize(noise, engine.spec.size, interpolation=cv2.INTER_CUBIC)
    np.save(sys.argv[1], engine.submit(frame[None]).result().probability)
"""
    results = []
    for name, limit in (("own", ""), ("vnni", "AVX512_CORE_BF16"), ("avx2", "AVX2")):
        run = [sys.executable, "-c", code, str(tmp_path / f"{name}.npy")]
        limited = {"ONEDNN_MAX_CPU_ISA": limit} if limit else {}
        subprocess.run(run, check=True, env=os.environ | limited)
        results.append(np.load(tmp_path / f"{name}.npy"))
    assert np.ptp(results[0]) > 128  # something is there to differ in
    own, vnni, avx2 = results
    np.testing.assert_array_equal(vnni, avx2)
    assert np.mean((own >= 128) != (avx2 >= 128)) < 0.005


REPORT_SOCKETS_AND_FORKS = """
import sys
watched = ("socket.", "os.fork", "subprocess.Popen")
sys.addaudithook(lambda event, args: event.startswith(watched) and print(event, args, flush=True))
"""


def output_of(code: str) -> str:
    """What a process of its own prints; CI=true would silence the telemetry that is looked for."""
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD")}
    run = [sys.executable, "-c", REPORT_SOCKETS_AND_FORKS + code]
    return subprocess.run(run, capture_output=True, text=True, check=True, env=environment).stdout


def test_nothing_is_reported_to_anybody(tmp_path: Path):
    folder = write_tiny_bundle(tmp_path / "tiny")
    code = f"""
import numpy as np
from rtpolyp.inference import open_engine
from pathlib import Path
with open_engine({str(folder)!r}, cache=Path({str(tmp_path)!r})) as engine:
    engine.submit(np.zeros((1, 64, 96, 3), np.uint8)).result()
"""
    assert output_of(code) == ""


def test_the_check_would_see_a_connection():
    assert "socket.connect" in output_of("import socket; socket.socket().connect_ex(('127.0.0.1', 9))")


def test_telemetry_is_hidden_during_the_import_only(monkeypatch):
    monkeypatch.delitem(sys.modules, backend.TELEMETRY, raising=False)
    with backend.without_telemetry():
        with backend.without_telemetry():
            pass
        with pytest.raises(ImportError):
            importlib.import_module(backend.TELEMETRY)
    assert backend.TELEMETRY not in sys.modules
    own = types.ModuleType(backend.TELEMETRY)
    monkeypatch.setitem(sys.modules, backend.TELEMETRY, own)
    with backend.without_telemetry():
        assert sys.modules[backend.TELEMETRY] is None
    assert sys.modules[backend.TELEMETRY] is own
