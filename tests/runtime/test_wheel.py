"""The wheel alone, away from the checkout: what `pip install rtpolyp` gives a user."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.runtime.clips import Clip, make_clip
from tests.runtime.committed import COMMITTED

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(CHECKOUT)], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_runs_the_default_bundle_from_any_folder(unpacked, tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", Clip(size=(320, 256), frames=3))
    environment = os.environ | {"PYTHONPATH": str(unpacked), "RTPOLYP_CACHE": str(tmp_path / "cache")}
    options = ["--json", "found.jsonl", "--precision", "fp32"]
    command = [sys.executable, "-m", "rtpolyp", "run", clip.name, *options]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    header, *lines, _ = (tmp_path / "found.jsonl").read_text().splitlines()
    assert json.loads(header)["engine"] == "pranet-if"
    assert len(lines) == 3


def test_the_code_and_every_bundle_are_the_wheels(unpacked, tmp_path):
    bundles = f"*(b.load_bundle(name).folder for name in {sorted(COMMITTED)})"
    code = f"import rtpolyp, rtpolyp.inference.bundle as b; print(rtpolyp.__file__, {bundles})"
    environment = os.environ | {"PYTHONPATH": str(unpacked)}
    said = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=environment, text=True)
    assert len(said.split()) == 1 + len(COMMITTED)
    assert all(Path(path).is_relative_to(unpacked) for path in said.split())


def test_the_help_names_every_bundle(unpacked, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(unpacked), "COLUMNS": "200"}
    command = [sys.executable, "-m", "rtpolyp", "run", "--help"]
    said = subprocess.check_output(command, cwd=tmp_path, env=environment, text=True)
    (names,) = re.findall(r"A bundle's name \((.*?)\)", said)
    assert set(names.split(", ")) >= set(COMMITTED)


def test_the_wheel_carries_neither_training_nor_tests(unpacked):
    assert {path.name.split("-")[0] for path in unpacked.iterdir()} == {"rtpolyp"}
