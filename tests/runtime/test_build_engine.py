"""scripts/build_engine.py, whole: what it leaves, what it says, and one line for each way to fail."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from rtpolyp.inference import nvidia_card as card_module
from rtpolyp.inference.bundle import DEFAULT_BUNDLE, Bundle, load_bundle
from rtpolyp.inference.nvidia_card import Card
from rtpolyp.inference.tensorrt.build import BuildConfig, build_plan
from rtpolyp.inference.tensorrt.flavour import RTX_CAPABILITIES, Library
from rtpolyp.inference.tensorrt.plan import read_plan
from rtpolyp.inference.tensorrt.typed_onnx import load_graph, typed_graph
from rtpolyp.spec import sha256_of
from rtpolyp.terminal.command_line import run_app
from tests.runtime.tiny_bundle import red_square, write_tiny_bundle

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_engine.py"

pytestmark = pytest.mark.usefixtures("tensorrt_rtx", "_no_card")


@pytest.fixture
def _no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about a machine without a card, on one that has a card too."""
    monkeypatch.setattr(card_module, "DRIVER", "no driver")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_engine", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def run(*options: object) -> int:
        words = [str(option) for option in (*options, "-o", tmp_path / "engines")]
        monkeypatch.setattr("sys.argv", ["scripts/build_engine.py", *words])
        return run_app(script.app, words)

    return run


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """Frames that the tiny network outlines."""
    (tmp_path / "squares").mkdir()
    for x in (10, 30, 50):
        cv2.imwrite(str(tmp_path / "squares" / f"{x}.png"), red_square(corner=(x, 10)))
    return tmp_path / "squares"


def built(tmp_path: Path) -> Path:
    (plan,) = (tmp_path / "engines").glob("*.engine")
    return plan


def test_the_shipped_network_becomes_a_plan(run, tmp_path: Path, capsys, tensorrt_rtx: Library):
    assert run("--net", DEFAULT_BUNDLE) == 0
    said = capsys.readouterr().out
    plan, bundle = read_plan(built(tmp_path)), load_bundle()
    spec = plan.spec
    assert plan.content[:4] == b"vtrt"
    assert (spec.flavour, spec.tensorrt_version) == ("tensorrt-rtx", tensorrt_rtx.version)
    assert spec.engine == bundle.spec
    assert spec.bundle_digest == bundle.digest
    assert spec.source_sha256 == sha256_of(bundle.model("fp32"))
    assert (spec.gpu, spec.driver, spec.cuda, spec.trained) == (None, None, None, True)
    assert spec.parity["dice"] >= 0.998
    assert spec.operations["fp16"]["convolution"] > 100
    assert "convolution" not in spec.operations["fp32"]
    assert spec.rebuild == f"python scripts/build_engine.py --net {DEFAULT_BUNDLE}"
    assert "no NVIDIA card is visible: tensorrt-rtx" in said
    assert "a plan for sm80 (A100, A30), sm86 (RTX 30), sm89 (RTX 40), sm120 (RTX 50)" in said
    for figure in (
        f"{len(plan.content) / 1e6:.1f} MB, built in",
        "fp16 operations: ",
        "weights: ",
        "mask Dice",
    ):
        assert figure in said


@pytest.mark.parametrize(
    "config",
    [
        BuildConfig("fp32"),
        BuildConfig("bf16"),
        BuildConfig("fp16", batch=(1, 4, 8)),
        BuildConfig("fp16", targets=("sm86", "sm120")),
        BuildConfig("fp16", targets=RTX_CAPABILITIES),
    ],
    ids=str,
)
def test_the_shipped_network_takes_every_kind_of_plan(config: BuildConfig, tensorrt_rtx: Library):
    graph = typed_graph(load_graph(load_bundle().model("fp32")), config.precision)
    assert build_plan(tensorrt_rtx, graph.SerializeToString(), config).content[:4] == b"vtrt"


def test_options_reach_the_plan(run, tmp_path: Path, bundle: Bundle, squares: Path, capsys):
    options = ("--precision", "fp32", "--batch", "1:4:8", "--target", "sm86,SM120", "--frames", squares)
    assert run("--bundle", bundle.folder, *options) == 0
    spec = read_plan(built(tmp_path)).spec
    assert (spec.precision, spec.batch, spec.capabilities) == ("fp32", (1, 4, 8), ("sm86", "sm120"))
    assert spec.parity["on"] == str(squares)
    assert spec.rebuild == (
        f"python scripts/build_engine.py --bundle {bundle.folder} --precision fp32 --batch 1:4:8"
    )
    assert built(tmp_path).name == "tiny.rtx-sm86-sm120.fp32.96x64.b1-4-8.engine"


def test_int8_comes_from_the_bundles_own(run, tmp_path: Path, bundle: Bundle, squares: Path):
    assert run("--bundle", bundle.folder, "--precision", "int8", "--frames", squares) == 0
    spec = read_plan(built(tmp_path)).spec
    assert spec.source_sha256 == sha256_of(bundle.model("int8"))
    assert spec.operations["int8"] == {"quantize": 1}
    assert spec.weights["int8"] > 0


def test_the_sidecar_is_plain_json(run, tmp_path: Path, bundle: Bundle, squares: Path):
    run("--bundle", bundle.folder, "--frames", squares)
    text = built(tmp_path).with_suffix(".json").read_text()
    sidecar = json.loads(text, parse_constant=pytest.fail)  # no NaN
    assert sidecar["precision"] == "fp16"


def test_a_card_is_built_for_and_named(run, script: ModuleType, tmp_path: Path, bundle, squares, monkeypatch):
    card = Card("NVIDIA GeForce RTX 2080", "sm75", "12.8", "570.1")
    monkeypatch.setattr(script, "find_card", lambda: card)
    assert run("--bundle", bundle.folder, "--frames", squares) == 0
    spec = read_plan(built(tmp_path)).spec
    assert (spec.gpu, spec.driver, spec.cuda) == (card.name, card.driver, card.cuda)
    assert spec.capabilities == ("sm75",)


def test_a_card_whose_flavour_is_missing_gets_the_pip_command(run, script: ModuleType, capsys, monkeypatch):
    monkeypatch.setattr(script, "find_card", lambda: Card("NVIDIA H100", "sm90", "13.0", None))
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert run() == 2
    assert "tensorrt is not usable (" in (said := capsys.readouterr().err)
    assert 'pip install "rtpolyp[tensorrt]"' in said


def test_a_failed_gate_leaves_no_plan(run, tmp_path: Path, bundle: Bundle, capsys):
    (tmp_path / "grey").mkdir()
    cv2.imwrite(str(tmp_path / "grey" / "grey.png"), np.full((64, 96, 3), 100, np.uint8))
    assert run("--bundle", bundle.folder, "--frames", tmp_path / "grey") == 2
    assert "no polyp is outlined in any of 1 frames" in capsys.readouterr().err
    assert list((tmp_path / "engines").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            ["--net", "fcn"],
            "fcn: no trained bundle of that network; train it (python -m train --net fcn, then ",
        ),
        (["--target", "sm90"], "target sm90: TensorRT for RTX builds for sm75, sm80, "),
        (["--flavour", "tensorrt"], "tensorrt is not usable "),
        (["--batch", "4:1:8"], "batch 4:1:8: give MIN ≤ OPT ≤ MAX, from 1 on"),
        (["--precision", "fp8"], "fp8"),
        (["--encoder", "vgg16"], "its encoder is efficientnet-lite0; leave --encoder out, or build with"),
        (["--untrained", "--weights", "best.pt"], "exclude each other; give one"),
        (["--frames", "/nowhere"], "/nowhere: no images; give a folder of images"),
        (["--bundle", "/nowhere"], "/nowhere: no such bundle"),
        (["--untrained", "--precision", "int8"], "int8: only a bundle's own graph is quantised"),
    ],
)
def test_a_users_error_is_one_line(run, options: list[str], error: str, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert run(*options) == 2
    said = capsys.readouterr().err
    assert error in said
    assert said.startswith("rtpolyp: ")
    assert said.count("\n") == 1


def test_a_corrupt_bundle_is_one_line(run, tmp_path: Path, capsys):
    folder = write_tiny_bundle(tmp_path / "tiny")
    (folder / "model.onnx").write_bytes(b"not ONNX")
    assert run("--bundle", folder) == 2
    assert "model.onnx: SHA-256 is" in capsys.readouterr().err


def test_an_unwritable_output_is_one_line(script: ModuleType, tmp_path: Path, capsys):
    (tmp_path / "file").write_bytes(b"")
    assert run_app(script.app, ["-o", str(tmp_path / "file" / "engines")]) == 2
    assert "file/engines: no folder to write to (" in capsys.readouterr().err


def test_without_the_extra_it_is_one_line(tmp_path: Path):
    """A plain installation has neither TensorRT nor onnx."""
    hide = "import sys; sys.modules.update(dict.fromkeys(('tensorrt', 'tensorrt_rtx', 'onnx')))"
    run = f"sys.argv = ['build_engine']; import runpy; runpy.run_path({str(SCRIPT)!r}, None, '__main__')"
    result = subprocess.run(
        [sys.executable, "-c", f"{hide}; {run}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert result.stderr.startswith("rtpolyp: tensorrt")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--net", "tiny", "--bundle", "tiny"), "--net: and --bundle both name what to build; give one"),
        (("--encoder", "vgg16", "--weights", "best.pt"), "--encoder: is the run's own, with --weights"),
        (("--frames", "x", "--untrained"), "--frames: random weights are compared with nothing"),
        (
            ("--frames", "x", "--via", "torch-tensorrt"),
            "--frames: torch-tensorrt's plans are not compared",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(run, capsys, options, said):
    assert run(*options) == 2
    assert said in capsys.readouterr().err
