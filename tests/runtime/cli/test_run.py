"""`rtpolyp run` and `rtpolyp demo` as a user calls them, with a tiny network and real codecs."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from rtpolyp.cli import run_command_line
from rtpolyp.spec import read_spec
from rtpolyp.video.source import open_source
from tests.runtime.clips import Clip, make_clip
from tests.runtime.red_disc import disc, disc_clip
from tests.runtime.tiny_bundle import write_tiny_bundle

FRAMES = 15


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path_factory.getbasetemp() / "calibration"))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return disc_clip(tmp_path / "disc.mp4", frames=FRAMES, audio="aac")


def run(bundle: Path, *arguments: object) -> int:
    return run_command_line(["run", *map(str, arguments), "--engine", str(bundle), "--precision", "fp32"])


def pts_of(path: Path) -> list[float]:
    with open_source(path) as source:
        return [frame.pts_seconds for frame in source]


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_everything_is_written(bundle, clip, tmp_path, capsys):
    assert run(bundle, clip, "-o", "out.mp4", "--json", "out.jsonl", "--masks", "masks") == 0
    assert pts_of(tmp_path / "out.mp4") == pts_of(clip)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert len(container.streams.audio) == 1
    header, *lines, last = lines_of(tmp_path / "out.jsonl")
    assert last["summary"]["frames"] == FRAMES
    assert (last["summary"]["lost_pictures"], last["summary"]["remarks"]) == (0, [])
    assert header["schema"] == 1
    assert header["sha256"] == read_spec(bundle / "spec.json").sha256
    assert [line["pts_seconds"] for line in lines] == pts_of(clip)
    assert all(len(line["polyps"]) == 1 for line in lines)
    mask = cv2.imread(str(tmp_path / "masks" / "000000.png"), cv2.IMREAD_GRAYSCALE)
    assert mask.shape == (128, 160)
    assert np.count_nonzero(mask) == pytest.approx(lines[0]["polyps"][0]["area"], rel=0.05)
    said = capsys.readouterr().out
    assert f"{FRAMES} frames" in said
    assert f"{FRAMES} polyp outlines in {FRAMES} frames" in said
    assert "openvino fp32" in said


def test_the_overlay_is_drawn_on_the_polyp_and_nowhere_else(bundle, clip, tmp_path):
    assert run(bundle, clip, "-o", "out.mp4", "--no-audio") == 0
    with open_source(clip) as source, open_source(tmp_path / "out.mp4") as result:
        before, after = next(iter(source)).to_bgr(), next(iter(result)).to_bgr()
    difference = np.abs(before.astype(int) - after).max(axis=2)
    ring = np.zeros(difference.shape, np.uint8)
    cv2.circle(ring, (40, 64), 21, 1, 5)
    assert difference[ring > 0].mean() > 40
    far = np.ones(difference.shape, np.uint8)
    cv2.circle(far, (40, 64), 36, 0, -1)
    assert difference[far > 0].mean() < 6  # what the encoder alone changes


def test_no_audio_drops_the_sound(bundle, clip, tmp_path):
    assert run(bundle, clip, "--no-audio") == 0
    with av.open(str(tmp_path / "disc.polyps.mp4")) as container:
        assert not container.streams.audio


def test_a_folder_of_images_gives_a_folder_of_images(bundle, tmp_path):
    (tmp_path / "images").mkdir()
    for name, size in (("a", (160, 128)), ("b", (321, 201))):
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), disc(0, size))
    assert run(bundle, "images") == 0
    shapes = {p.name: cv2.imread(str(p)).shape for p in (tmp_path / "images.polyps").iterdir()}
    assert shapes == {"a.png": (128, 160, 3), "b.png": (201, 321, 3)}


def test_a_single_image(bundle, tmp_path):
    cv2.imwrite("one.png", disc(0, (160, 128)))
    assert run(bundle, "one.png", "--json", "one.jsonl") == 0
    assert (tmp_path / "one.polyps" / "one.png").is_file()
    assert len(lines_of(tmp_path / "one.jsonl")) == 3


def test_without_a_screen_display_says_so_and_goes_on(bundle, clip, tmp_path, monkeypatch, caplog):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert run(bundle, clip, "-o", "out.mp4", "--display") == 0
    assert "no display" in caplog.text
    assert len(pts_of(tmp_path / "out.mp4")) == FRAMES


def test_a_raised_threshold_finds_less(bundle, clip, tmp_path):
    areas = []
    for threshold in ("0.05", "0.95"):
        assert run(bundle, clip, "--json", "found.jsonl", "--threshold", threshold) == 0
        areas.append(lines_of(tmp_path / "found.jsonl")[1]["polyps"][0]["area"])
    assert areas[1] < 0.95 * areas[0]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130)])
def test_an_interrupted_run_keeps_what_it_wrote(bundle, tmp_path, number, code):
    clip = disc_clip(tmp_path / "long.mp4", frames=3000, size=(320, 256))
    command = [sys.executable, "-m", "rtpolyp", "run", str(clip), "-o", "out.mp4", "--json", "out.jsonl"]
    process = subprocess.Popen(
        [*command, "--engine", str(bundle), "--precision", "fp32"],
        stdout=subprocess.PIPE,
        text=True,
        # a shell starts background jobs, this test's perhaps, with SIGINT ignored, and children inherit that
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    jsonl = tmp_path / "out.jsonl"
    deadline = time.monotonic() + 60
    while not (jsonl.exists() and jsonl.read_bytes().count(b"\n") > 60):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == code
    assert "interrupted" in said
    frames = len(pts_of(tmp_path / "out.mp4"))
    assert 60 <= frames < 3000
    assert abs(len(lines_of(jsonl)) - 2 - frames) <= 1


def truncated(path: Path) -> Path:
    whole = disc_clip(path.with_name("whole.mp4"), frames=FRAMES)
    path.write_bytes(whole.read_bytes()[:2000])
    return path


def resized_midway(path: Path) -> Path:
    parts = [make_clip(path.with_name(f"{w}.h264"), Clip(size=(w, 128), frames=5)) for w in (160, 192)]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def text_file(path: Path) -> Path:
    path.write_text("this is no video\n" * 50)
    return path


def deep_png(path: Path) -> Path:
    cv2.imwrite(str(path), disc(0, (160, 128)).astype(np.uint16))
    return path


def grey_png(path: Path) -> Path:
    cv2.imwrite(str(path), disc(0, (160, 128))[..., 2])
    return path


BAD_INPUTS = [
    ("missing.mp4", lambda path: path, "no such file"),
    ("text.mp4", text_file, "text.mp4: .*"),
    ("truncated.mp4", truncated, "truncated.mp4: .*"),
    ("resized.h264", resized_midway, "160x128.*192x128"),
    ("empty.mp4", lambda path: disc_clip(path, frames=0), "empty.mp4: .*"),
    ("deep.png", deep_png, "16 bits a channel, but no value above"),
    ("grey.png", grey_png, "grey"),
]


@pytest.mark.parametrize(("name", "make", "reason"), BAD_INPUTS, ids=[name for name, *_ in BAD_INPUTS])
def test_bad_input_is_one_line_and_exit_code_2(bundle, tmp_path, capsys, name, make, reason):
    path = make(tmp_path / name)
    assert run(bundle, path) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("rtpolyp: ")
    assert re.search(reason, error)


def test_a_clip_that_changes_its_size_keeps_the_frames_before(bundle, tmp_path):
    assert run(bundle, resized_midway(tmp_path / "resized.h264"), "-o", "out.mp4") == 2
    assert len(pts_of(tmp_path / "out.mp4")) == 5


def foreign_spec(folder: Path) -> None:
    (folder / "spec.json").write_text('{"name": "other", "wheels": 4}')


def broken_spec(folder: Path) -> None:
    (folder / "spec.json").write_text("{")


def changed_model(folder: Path) -> None:
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")


@pytest.mark.parametrize("damage", [foreign_spec, broken_spec, changed_model])
def test_a_bundle_that_does_not_match_is_refused(clip, tmp_path, capsys, damage):
    folder = write_tiny_bundle(tmp_path / "own")
    damage(folder)
    assert run(folder, clip) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(folder) in error
    assert not (tmp_path / "disc.polyps.mp4").exists()


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("nowhere/out.mp4", "no folder"),
        ("disc.mp4", "same file"),
        ("out.avi", "MP4"),
        ("folder.mp4", "folder"),
    ],
)
def test_an_output_that_cannot_be_is_refused(bundle, clip, capsys, output, reason):
    before = clip.read_bytes()
    Path("folder.mp4").mkdir()
    assert run(bundle, clip, "-o", output) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert reason in error
    assert clip.read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [["--crop", "1,2,3"], ["--style", "stars"], ["--threshold", "2"], ["--backend", "abacus"], ["--bogus"]],
    ids=" ".join,
)
def test_bad_options_are_one_line(bundle, clip, capsys, arguments):
    assert run(bundle, clip, *arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_unknown_engine_lists_what_there_is(clip, capsys):
    assert run_command_line(["run", str(clip), "--engine", "no-such-net"]) == 2
    assert "no-such-net" in capsys.readouterr().err


def test_missing_system_libraries_are_one_line(tmp_path):
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-m", "rtpolyp", "demo"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "libGL.so.1" in result.stderr
    assert "apt-get install" in result.stderr


def test_the_demo_writes_its_outputs_and_scores_itself(bundle, tmp_path, capsys):
    assert run_command_line(["demo", "-o", "demo", "--seconds", "0.4", "--engine", str(bundle)]) == 0
    assert len(pts_of(tmp_path / "demo" / "phantom.polyps.mp4")) == 10
    assert len(list((tmp_path / "demo" / "masks").iterdir())) == 10
    assert "against the phantom's own masks" in capsys.readouterr().out
