"""Plans of networks that no bundle's ONNX holds, up to what scripts/build_engine.py leaves of them."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rtpolyp.errors import BackendError, EngineError, InputError
from rtpolyp.inference import nvidia_card as card_module
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.nvidia_card import Card
from rtpolyp.inference.tensorrt.build import BuildConfig
from rtpolyp.inference.tensorrt.flavour import Library
from rtpolyp.inference.tensorrt.plan import read_plan
from rtpolyp.spec import sha256_of
from rtpolyp.terminal.command_line import run_app
from tests.train.tiny_encoder import register
from train.checkpoint import load_checkpoint
from train.data import Source
from train.export.plan_source import of_bundle, of_checkpoint, untrained
from train.export.torch_tensorrt import build_plan_from_torch
from train.weights import save_weights

SCRIPT = Path(__file__).parents[3] / "scripts" / "build_engine.py"
H100 = Card("NVIDIA H100", "sm90", "13.0", None)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The script on a machine without a card."""
    monkeypatch.setattr(card_module, "DRIVER", "no driver")
    spec = importlib.util.spec_from_file_location("build_engine", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return lambda *options: run_app(script.app, [*map(str, options), "-o", str(tmp_path / "engines")])


def test_random_weights_are_the_same_each_time(monkeypatch):
    register(monkeypatch)
    one, other = (untrained("pranet", "tiny", 64) for _ in range(2))
    assert (one.spec, one.sha256) == (other.spec, other.sha256)
    assert (one.spec.name, one.spec.encoder, one.spec.size) == ("pranet", "tiny", (64, 64))
    for mine, theirs in zip(one.network.parameters(), other.network.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_an_unknown_network_fails_listing_what_exists():
    with pytest.raises(
        InputError, match=r"network 'unet9000' is unknown; did you mean unet\? there are: pranet"
    ):
        untrained("unet9000", None, 64)


def test_a_checkpoint_brings_its_weights_and_what_they_have_seen(redness_checkpoint: Path, redness_net):
    source = of_checkpoint(redness_checkpoint, 64)
    trained = load_checkpoint(redness_checkpoint)
    assert source.spec.trained_on == tuple(sorted({file.sha256[:16] for file in trained.files}))
    assert source.sha256 == source.spec.sha256["best.pt"] == sha256_of(redness_checkpoint)
    frames = torch.full((1, 64, 64, 3), 90, dtype=torch.uint8)
    frames[..., 2] = 230
    assert source.network(frames)[0, 32, 32] > 200
    frames[..., 2] = 90
    assert source.network(frames)[0, 32, 32] < 50


def test_a_bundle_keeps_its_operating_point_at_another_size(redness_checkpoint: Path, tmp_path: Path):
    save_weights(load_checkpoint(redness_checkpoint), tmp_path / "weights.pt")
    spec = replace(of_checkpoint(redness_checkpoint, 64).spec, threshold=0.7, files={"weights": "weights.pt"})
    source = of_bundle(Bundle(tmp_path, spec), 96)
    assert (source.spec.size, source.spec.threshold) == ((96, 96), 0.7)
    assert source.spec.trained_on == spec.trained_on


def test_a_checkpoint_becomes_a_plan(
    run, redness_checkpoint: Path, mini_source: Source, tmp_path: Path, tensorrt_rtx, capsys
):
    options = ("--weights", redness_checkpoint, "--size", 64)
    assert run(*options, "--frames", mini_source.folder) == 0
    (path,) = (tmp_path / "engines").glob("*.engine")
    plan = read_plan(path)
    assert plan.spec.engine == of_checkpoint(redness_checkpoint, 64).spec
    assert plan.spec.parity["typed_dice"] == pytest.approx(plan.spec.parity["exact_dice"], abs=0.001)
    assert "Dice against the truth: " in capsys.readouterr().out


def test_a_checkpoint_of_another_network_fails(run, redness_checkpoint: Path, tensorrt_rtx, capsys):
    assert run("--weights", redness_checkpoint, "--net", "pranet") == 2
    assert "best.pt: holds redness, not pranet; leave --net out" in capsys.readouterr().err


def test_random_weights_become_a_plan_that_run_refuses(
    run, redness_checkpoint: Path, tmp_path: Path, tensorrt_rtx, capsys
):
    assert run("--net", "redness", "--untrained", "--size", 64) == 0  # known while its checkpoint is
    assert "random weights: for latency alone" in capsys.readouterr().out
    (path,) = (tmp_path / "engines").glob("redness.*.untrained.engine")
    assert read_plan(path, untrained=True).spec.parity == {}
    with pytest.raises(EngineError, match="random weights, for latency alone; train redness"):
        read_plan(path)


def test_torch_tensorrt_without_a_card_is_one_line(run, redness_checkpoint: Path, tensorrt_rtx, capsys):
    assert run("--weights", redness_checkpoint, "--size", 64, "--via", "torch-tensorrt") == 2
    said = capsys.readouterr().err
    assert said == (
        "rtpolyp: torch-tensorrt needs an NVIDIA card, and none is visible here; leave --via out\n"
    )


def test_torch_tensorrt_with_another_flavour_or_precision_fails(tensorrt_rtx: Library, redness_net):
    with pytest.raises(
        BackendError, match="builds fp32, fp16 and bf16 with tensorrt, not fp16 with tensorrt-rtx"
    ):
        build_plan_from_torch(tensorrt_rtx, redness_net, (64, 64), BuildConfig(), H100)
    full = replace(tensorrt_rtx, name="tensorrt")
    with pytest.raises(BackendError, match="not int8 with tensorrt; leave --via out"):
        build_plan_from_torch(full, redness_net, (64, 64), BuildConfig("int8"), H100)


def test_torch_tensorrt_that_does_not_import_fails(tensorrt_rtx: Library, redness_net, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_tensorrt", None)
    full = replace(tensorrt_rtx, name="tensorrt")
    expected = r'torch-tensorrt is not usable \(.*\); pip install "rtpolyp\[torch-tensorrt\]", or leave --via'
    with pytest.raises(BackendError, match=expected):
        build_plan_from_torch(full, redness_net, (64, 64), BuildConfig(), H100)
