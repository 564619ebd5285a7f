"""The peer comparison on a network of a few weights: every peer runs it, and another network is told."""

import json
from pathlib import Path

import numpy as np
import pytest

from rtpolyp.inference.bundle import load_bundle
from rtpolyp.terminal.command_line import run_app
from rtpolyp.video.source import open_source
from scripts import bench_peers
from scripts.bench_peers import app, measure_engines, open_peers, streaming_loop
from tests.runtime.red_disc import disc, disc_clip
from tests.runtime.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("engines") / "tiny")


@pytest.fixture(autouse=True)
def _brief(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path_factory.getbasetemp() / "calibration"))
    monkeypatch.setattr("scripts.measure_speed.BLOCK", 2)


def test_every_peer_is_measured_in_both_loops(folder: Path, tmp_path: Path, capsys):
    clip = disc_clip(tmp_path / "disc.mp4", frames=6)
    words = ["--bundle", str(folder), "--clip", str(clip), "--rounds", "1", "-o", str(tmp_path)]
    assert run_app(app, words) == 0
    (path,) = tmp_path.glob("peers-tiny-*.json")
    report = json.loads(path.read_text())
    peers = {"ONNX Runtime fp32", "ONNX Runtime int8", "OpenCV DNN fp32"}
    assert report["not measured"].keys() == {"PyTorch eager fp32"}
    assert "no weights model in this bundle" in report["not measured"]["PyTorch eager fp32"]
    assert report["engine alone"]["ratio to ours"].keys() == {"rtpolyp"} | peers
    loops = {"rtpolyp"} | {f"{loop}, {peer}" for loop in ("plain", "streaming") for peer in peers}
    assert report["end to end"]["ratio of ours"].keys() == loops
    assert report["end to end"]["ratio of ours"]["rtpolyp"] == 1
    assert min(report["end to end"]["frames/s"].values()) > 0
    assert "rtpolyp is faster by" in capsys.readouterr().out


def test_a_peer_that_does_not_load_is_named_with_the_reason(folder: Path, monkeypatch):
    def broken(path: str) -> None:
        raise bench_peers.cv2.error("unsupported layer")

    monkeypatch.setattr(bench_peers.cv2.dnn, "readNetFromONNX", broken)
    peers, failures = open_peers(load_bundle(folder), disc(0, (96, 64)))
    assert "OpenCV DNN fp32" not in peers
    assert failures["OpenCV DNN fp32"] == "unsupported layer"


def test_a_peer_that_loads_and_does_not_run_is_named_with_the_reason(folder: Path, monkeypatch):
    def broken(self, frame: np.ndarray) -> np.ndarray:
        raise bench_peers.cv2.error("C0 <= 1")

    monkeypatch.setattr(bench_peers.OpenCvNetwork, "__call__", broken)
    peers, failures = open_peers(load_bundle(folder), disc(0, (96, 64)))
    assert "OpenCV DNN fp32" not in peers
    assert failures["OpenCV DNN fp32"] == "C0 <= 1"


def test_a_peer_that_runs_another_network_ends_the_comparison(folder: Path):
    other = {"other": lambda frame: np.ones(frame.shape[:2], np.float32)}
    with pytest.raises(SystemExit, match="other: its probability differs by"):
        measure_engines(load_bundle(folder), other, disc(0, (96, 64)), rounds=1)


def test_the_streaming_loop_draws_where_the_network_says(tmp_path: Path):
    def right_half(frame: np.ndarray) -> np.ndarray:
        """Of the letterboxed picture: 64 wide, 52 high."""
        return np.tile(np.arange(64) >= 32, (64, 1)).astype(np.float32)

    clip = disc_clip(tmp_path / "disc.mp4", frames=4)
    assert streaming_loop(right_half, (64, 64), clip, tmp_path / "out.mp4") == 4
    with open_source(tmp_path / "out.mp4") as source:
        green = [frame.to_bgr()[..., 1].astype(int) for frame in source]
    assert len(green) == 4
    assert green[0][:, 90:].mean() > green[0][:, :70].mean() + 40
