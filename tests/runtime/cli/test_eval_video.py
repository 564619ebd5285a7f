"""`rtpolyp eval VIDEO` with a real, tiny network and a clip whose only red is a disc."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.cli import run_command_line
from tests.runtime.clips import Clip, make_clip
from tests.runtime.discs import write_discs
from tests.runtime.red_disc import disc
from tests.runtime.tiny_bundle import write_tiny_bundle

FRAMES = 20
SIZE = (160, 128)


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """0.8 s of a disc that moves to the right."""
    monkeypatch.chdir(tmp_path)
    write_tiny_bundle(tmp_path / "tiny")
    noise = np.random.default_rng(0).integers(-45, 45, (SIZE[1], SIZE[0], 1))  # enough to count as clear

    def draw(index: int, size: tuple[int, int]) -> np.ndarray:
        return np.clip(disc(index, size) + noise, 0, 255).astype(np.uint8)

    return make_clip(tmp_path / "disc.mp4", Clip(SIZE, FRAMES), draw)


def write_masks(folder: Path, count: int = FRAMES, size: tuple[int, int] = SIZE) -> Path:
    """Where red_disc.disc draws."""
    folder.mkdir()
    for index in range(count):
        mask = np.zeros(size[::-1], np.uint8)
        cv2.circle(mask, (size[0] // 4 + 2 * index, size[1] // 2), size[1] // 6, 255, -1)
        assert cv2.imwrite(str(folder / f"{index:06d}.png"), mask)
    return folder


def evaluate(*arguments: object) -> int:
    return run_command_line(["eval", *map(str, arguments)])


def evaluate_tiny(*arguments: object) -> dict:
    options = ("--engine", "tiny", "--precision", "fp32", "--json", "report.json")
    assert evaluate(*arguments, *options) == 0
    return json.loads(Path("report.json").read_text())


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line on stderr of a call that must end with exit code 2."""
    assert evaluate(*arguments, "--engine", "tiny", "--precision", "fp32") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_without_truth(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = evaluate_tiny(clip)
    output = capsys.readouterr().out
    assert "20 frames, 0.8 s, 1 sequence" in output
    assert "no truth: sensitivity" in output
    assert (report["frames"], report["outlined"], report["returns"]) == (FRAMES, FRAMES, 0)
    assert report["polyps"] is None
    assert report["polyp_free"] is None


def test_with_masks(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = evaluate_tiny(clip, "--truth", write_masks(clip.parent / "masks"), "--alert-delay", 120)
    output = capsys.readouterr().out
    assert "20/20 100.0%" in output
    assert "1/1 100.0% [2.5, 100.0]" in output
    assert "no truth" not in output
    polyps = report["polyps"]
    assert (polyps["found"], polyps["appearances"], polyps["flicker_per_second"]) == (FRAMES, 1, 0)
    assert polyps["dice"] > 0.9
    assert polyps["first_outline_ms"] == [0]
    assert polyps["first_alert_ms"] == pytest.approx([120])
    assert report["false_outlines"] == 0
    assert "0 ms median" in output
    assert "120 ms median" in output


def test_with_boxes(clip: Path) -> None:
    boxes = [[{"bbox": [40 + 2 * index - 20, 44, 40 + 2 * index + 20, 84]}] for index in range(FRAMES)]
    boxes[3] = [{"bbox": [130, 2, 158, 20]}]  # where nothing is
    Path("boxes.json").write_text(json.dumps({"width": SIZE[0], "height": SIZE[1], "frames": boxes}))
    report = evaluate_tiny(clip, "--truth", "boxes.json")
    assert (report["polyps"]["found"], report["polyps"]["annotated"]) == (FRAMES - 1, FRAMES)
    assert report["polyps"]["dice"] is None
    assert report["false_outlines"] == 1


def test_polyp_free(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = evaluate_tiny(clip, "--polyp-free")
    free = report["polyp_free"]
    assert [stay["count"] for stay in free["activations"]] == [1, 0, 0]
    assert free["area"] == pytest.approx(np.pi * 21**2 / (SIZE[0] * SIZE[1]), rel=0.15)
    assert [stay["count"] for stay in free["activations_by_frames"]] == [1, 1]
    output = capsys.readouterr().out
    for definition in ("activations, any frame", "activations ≥ 6 frames", "activations ≥ 0.5 s"):
        assert definition in output
    assert report["polyps"] is None


def test_sequences_and_several_videos(clip: Path) -> None:
    rows = [{"video_frame": index, "sequence_id": index // 10} for index in range(FRAMES)]
    Path("cut.json").write_text(json.dumps(rows))
    cut = evaluate_tiny(clip, "--sequences", "cut.json", "--polyp-free")
    assert cut["sequences"] == 2
    assert [stay["count"] for stay in cut["polyp_free"]["activations"]] == [0, 0, 0]  # 0.4 s each
    twice = evaluate_tiny(clip, clip, "--polyp-free")
    assert (twice["sequences"], twice["frames"]) == (2, 2 * FRAMES)
    assert [stay["count"] for stay in twice["polyp_free"]["activations"]] == [2, 0, 0]  # not one of 1.6 s
    assert twice["polyp_free"]["activations_by_frames"][0]["per_examination"] == 1


def test_eval_of_a_video_fails(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks = write_masks(clip.parent / "masks", count=5)
    assert "absent.mp4: no such file" in fails(capsys, "absent.mp4")
    assert "disc.mp4: more frames than its truth of 5" in fails(capsys, clip, "--truth", masks)
    small = write_masks(clip.parent / "small", size=(80, 64))
    assert "160x128 pixels, but its truth has 80x64 in frame 0" in fails(capsys, clip, "--truth", small)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--csv", "frames.csv"), "--csv scores images with masks, and disc.mp4 is a video"),
        (("--polyp-free-crops", "3"), "--polyp-free-crops scores images"),
        (("--polyp-free", "--truth", "boxes.json"), "--polyp-free says that there is no polyp"),
        (("other.mp4", "--truth", "boxes.json"), "1 of --truth for 2 videos"),
        (("other.mp4", "--sequences", "cut.json"), "--sequences cuts a single video"),
        (("--truth", "absent.json"), "absent.json: no such file"),
        (("--json", "disc.mp4"), "disc.mp4: is one of the frames to score"),
        (("--json", "absent/report.json"), "is a folder or lies in none that exists"),
        (("--alert-delay", "-1"), "--alert-delay -1 is outside [0, inf)"),
    ],
)
def test_eval_of_a_video_fails_before_any_work(
    clip: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    assert message in fails(capsys, clip.name, *options)


def test_options_of_videos_fail_on_images(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    discs = write_discs(clip.parent / "discs")
    assert "--polyp-free is for videos, and" in fails(capsys, discs, "--polyp-free")
    assert "a second path is for videos, and" in fails(capsys, discs, discs)
