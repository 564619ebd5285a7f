"""The doctor on machines where something is missing; it never raises, and names the fix."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rtpolyp.inference.bundle as bundles
import rtpolyp.inference.calibration as calibration
import rtpolyp.inference.tensorrt.flavour as flavour
import rtpolyp.video.codecs as codecs
from rtpolyp.cli import run_command_line
from rtpolyp.inference import selection
from rtpolyp.inference.nvidia_card import Card
from rtpolyp.measure import doctor
from rtpolyp.measure.doctor import Finding, diagnose
from tests.runtime.tiny_bundle import write_tiny_bundle

NEEDED = {"NumPy", "OpenCV", "PyAV", "codecs", "bundle", "engine auto"}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shelf")
    write_tiny_bundle(folder / "pranet-if")
    return folder


@pytest.fixture(autouse=True)
def _machine(shelf: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A server without a card or a screen, and a tiny default bundle."""
    monkeypatch.setattr(bundles, "SHELVES", (shelf,))
    monkeypatch.setattr(selection, "find_card", lambda: None)
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path_factory.getbasetemp() / "calibration"))
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)


def findings() -> dict[str, Finding]:
    return {finding.name: finding for finding in diagnose()}


def test_a_healthy_machine_runs_and_says_with_what():
    found = findings()
    assert {name for name, finding in found.items() if finding.needed} == NEEDED
    assert all(found[name].works for name in NEEDED)
    assert found["engine auto"].detail.startswith("openvino ")
    assert "calibrated" in found["engine auto"].detail
    assert found["backend onnxruntime"].detail.startswith("onnxruntime fp32 on CPU")
    assert found["bundle"].detail.startswith("pranet-if, 96x64, digest ")
    assert "writes libx264, aac; reads h264" in found["codecs"].detail
    assert not found["display"].works
    assert "write a file instead" in found["display"].detail
    assert "no TensorRT plan of pranet-if; build one" in found["backend tensorrt"].detail


@pytest.mark.parametrize(
    ("module", "line", "fix"),
    [
        ("numpy", "NumPy", "pip install numpy"),
        ("cv2", "OpenCV", "apt-get install -y libgl1 libglib2.0-0"),
        ("av", "PyAV", "pip install av"),
        ("openvino", "backend openvino", "pip install openvino"),
        ("onnxruntime", "backend onnxruntime", "pip install onnxruntime"),
        ("tensorrt", "TensorRT", 'pip install "rtpolyp[tensorrt]"'),
        ("tensorrt_rtx", "TensorRT for RTX", 'pip install "rtpolyp[tensorrt-rtx]"'),
        ("pycuda", "pycuda", "install_pycuda"),
    ],
)
def test_what_is_absent_is_told_with_its_fix(monkeypatch, module: str, line: str, fix: str):
    monkeypatch.setitem(sys.modules, module, None)
    flavour.load_flavour.cache_clear()
    found = findings()[line]
    assert not found.works
    assert fix in found.detail
    assert module in found.detail


def test_without_openvino_auto_is_onnx_runtime(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    found = findings()["engine auto"]
    assert found.works
    assert found.detail.startswith("onnxruntime ")


def test_without_any_backend_the_main_job_cannot_run(monkeypatch, capsys):
    for module in ("openvino", "onnxruntime"):
        monkeypatch.setitem(sys.modules, module, None)
    assert run_command_line(["doctor"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "rtpolyp run cannot work here: see engine auto" in said
    assert "pip install openvino" in said


def test_a_broken_bundle_is_told(monkeypatch, tmp_path):
    folder = write_tiny_bundle(tmp_path / "pranet-if")
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    monkeypatch.setattr(bundles, "SHELVES", (tmp_path,))
    found = findings()
    assert "SHA-256 is" in found["bundle"].detail
    assert not found["engine auto"].works


def test_a_missing_encoder_is_told(monkeypatch):
    monkeypatch.setattr(codecs, "ENCODERS", ("libx264", "no_such_encoder"))
    found = findings()["codecs"]
    assert not found.works
    assert "has no encoder no_such_encoder; its wheels on PyPI have" in found.detail


def test_a_cache_that_cannot_be_written_is_told(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(calibration, "cache_folder", lambda: tmp_path / "file" / "cache")
    found = findings()["calibration cache"]
    assert not found.works
    assert "set RTPOLYP_CACHE" in found.detail


def test_missing_training_packages_are_named(monkeypatch):
    monkeypatch.setattr(doctor, "TRAINING", ("numpy", "no-such-distribution"))
    found = findings()["training"]
    assert (
        found.detail == 'not installed: no-such-distribution; only for training: pip install "rtpolyp[train]"'
    )


def test_a_card_is_described(monkeypatch):
    card = Card("NVIDIA H100", "sm90", "13.0", "580.65.06")
    monkeypatch.setattr("rtpolyp.inference.nvidia_card.find_card", lambda: card)
    assert findings()["NVIDIA card"].detail == "NVIDIA H100 (sm90), driver 580.65.06, CUDA 13.0"


def test_whatever_a_library_raises_is_one_line(monkeypatch):
    def explode() -> str:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(doctor, "_codecs", explode)
    assert findings()["codecs"].detail.startswith("first line second line; pip install")


def test_a_probe_that_says_nothing_is_named_by_its_exception(monkeypatch):
    def explode() -> str:
        raise KeyError

    monkeypatch.setattr(doctor, "_display", explode)
    assert findings()["display"].detail.startswith("KeyError; ")


def test_brackets_reach_the_screen(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    flavour.load_flavour.cache_clear()
    assert run_command_line(["doctor"]) == 0
    said = capsys.readouterr().out
    assert '"rtpolyp[tensorrt]"' in " ".join(said.split())
    assert "rtpolyp run works here" in said


@pytest.mark.parametrize("module", ["cv2", "numpy", "av"])
def test_it_runs_where_even_the_start_would_fail(tmp_path, module: str):
    for name in (module, "openvino", "onnxruntime"):  # the latter two to save their time
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} is broken here')")
    result = subprocess.run(
        [sys.executable, "-m", "rtpolyp", "doctor"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert f"{module} is broken here" in " ".join(result.stdout.split())
    assert "cannot work here" in result.stdout
