"""scripts/gpu_check.py rehearsed: each step reports its own reason, and the parts that need no card run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rtpolyp.inference.nvidia_card import find_card

ROOT = Path(__file__).resolve().parents[2]


def test_a_rehearsal_without_a_card(tmp_path: Path):
    if find_card() is not None:
        pytest.skip("there is a card")
    only = "convolution|eager pranet-if res2net50|graph pranet-if trained|onnxruntime pranet-if trained"
    command = [sys.executable, "scripts/gpu_check.py", "--device", "cpu", "--side", "64", "--seconds", "0.1"]
    command += ["--cases", "2", "--only", only, "-o", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "2 of 5 steps passed" in done.stdout
    (results,) = tmp_path.glob("gpu-no-card-*.json")
    steps = {step["name"]: step for step in json.loads(results.read_text())["steps"]}
    assert steps["convolution tensorrt"]["reason"].startswith("tensorrt ")
    assert "no NVIDIA card is visible" in steps["convolution tensorrt-rtx"]["reason"] or (
        "tensorrt-rtx is not usable" in steps["convolution tensorrt-rtx"]["reason"]
    )
    assert steps["pytorch-graph pranet-if trained"]["reason"].startswith("a CUDA graph needs a card")
    for name in ("pytorch-eager pranet-if res2net50 64", "onnxruntime pranet-if trained"):
        assert steps[name]["status"] == "passed"
        figures = steps[name]["result"]["figures"]
        assert figures["latency"]["count"] >= 10
        assert 0 < figures["compute"]["median"] <= figures["latency"]["p99"]
    page = results.with_suffix(".md").read_text()
    assert "and is no result" in page
    assert "a CUDA graph needs a card; take pytorch-eager" in page
