"""Every example in the library's docstrings is run."""

import doctest
import importlib
import itertools
from pathlib import Path

import pytest

from rtpolyp.phantom import render_phantom
from tests.runtime.red_disc import disc_clip, textured_disc

SIZE = 384, 288


@pytest.fixture(scope="module")
def phantom_picture():
    (last,) = itertools.islice(render_phantom(6.0, SIZE, fps=0.5, seed=2), 2, None)
    return last.bgr


def run_examples(name: str, names: dict[str, object]) -> int:
    """Run the examples of a module; return how many lines were run."""
    results = doctest.testmod(importlib.import_module(name), extraglobs=names)
    assert results.failed == 0
    return results.attempted


@pytest.mark.parametrize("name", ["imaging.polyp", "library.result", "library.session", "library.model"])
def test_the_examples_run(model, tmp_path: Path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path / "cache"))
    disc_clip(tmp_path / "video.mp4", size=SIZE, frames=3)
    frames = [textured_disc(index, SIZE) for index in range(3)]
    assert run_examples(f"rtpolyp.{name}", {"model": model, "image": frames[0], "frames": frames}) >= 2


def test_the_packages_own_example_runs_on_the_shipped_network(phantom_picture, tmp_path, monkeypatch):
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path))
    assert run_examples("rtpolyp", {"image": phantom_picture}) == 4
