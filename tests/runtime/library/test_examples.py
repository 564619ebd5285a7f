"""The scripts in examples/, on media that are made here; tests/train runs the one that trains."""

import csv
import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.phantom import render_phantom
from rtpolyp.video.source import open_source
from tests.runtime.clips import Clip, make_clip
from tests.runtime.video.senders import http_sender, http_url

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
SIZE = 384, 288


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Twelve frames of the phantom, half a second apart; polyps show in the last ones."""
    return [frame.bgr for frame in render_phantom(6.0, SIZE, fps=2, seed=2)]


@pytest.fixture(scope="module")
def video(pictures, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    return make_clip(path, Clip(size=SIZE, frames=12), lambda index, size: pictures[index])


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """Where the calibration of the first example is kept for the others."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(monkeypatch, tmp_path, cache):
    """Run one example as a program."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RTPOLYP_CACHE", str(cache))

    def run_example(name: str, *arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")

    return run_example


def test_one_picture_is_outlined(run, pictures, tmp_path, capsys):
    cv2.imwrite("picture.png", pictures[-4])
    run("image.py", "picture.png", "outlined.png")
    assert "confidence 0." in capsys.readouterr().out
    assert (cv2.imread("outlined.png") != cv2.imread("picture.png")).any()


def test_a_folder_gives_a_table_and_masks(run, pictures, tmp_path):
    Path("images").mkdir()
    for index, picture in enumerate(pictures[-4:]):
        cv2.imwrite(f"images/{index}.png", picture)
    run("folder.py", "images", "found")
    with open("found/polyps.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} <= {"0", "1", "2", "3"}
    for row in rows:
        mask = cv2.imread(f"found/{row['image']}.png", cv2.IMREAD_GRAYSCALE)
        assert mask.shape == SIZE[::-1]
        assert (mask == 255).sum() >= 0.9 * float(row["area"])


def test_a_video_is_outlined_and_its_polyps_are_listed(run, video, capsys):
    run("video.py", video, "outlined.mp4")
    said = capsys.readouterr().out
    assert "12 of 12 frames" in said
    assert "polyp 1: from " in said
    with open_source("outlined.mp4") as source:
        assert len(list(source)) == 12
    header, *frames, summary = map(json.loads, Path("outlined.jsonl").read_text().splitlines())
    assert (header["engine"], len(frames), summary["summary"]["frames"]) == ("pranet-if", 12, 12)


def test_a_loop_of_ones_own_has_tracks_and_times(run, video, capsys):
    run("own_loop.py", video)
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if "tracks" in line]) == 12
    assert any("tracks [1]" in line for line in lines)
    assert lines[0].startswith("  0.00 s")


def test_a_live_source_is_recorded_with_an_overlay_of_ones_own(run, pictures, tmp_path):
    clip = make_clip(
        tmp_path / "clip.ts", Clip(size=SIZE, frames=100), lambda index, size: pictures[-1 - index % 4]
    )
    with http_sender(clip, seconds=4.0) as port:
        run("live_overlay.py", http_url(port), "out.mp4", 2)
    with open_source("out.mp4") as source:
        frames = list(source)
    assert frames
    assert (np.diff([frame.pts_seconds for frame in frames]) > 0).all()
    assert max(cyan(frame.to_bgr()) for frame in frames) > 50 > max(cyan(picture) for picture in pictures)


def cyan(bgr: np.ndarray) -> int:
    """How many pixels have the overlay's colour."""
    blue, green, red = np.moveaxis(bgr.astype(int), 2, 0)
    return int((np.minimum(blue, green) > red + 60).sum())
