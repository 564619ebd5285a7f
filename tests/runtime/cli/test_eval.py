import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.cli import run_command_line
from rtpolyp.spec import image_fingerprint, read_spec, write_spec
from tests.runtime.discs import write_discs
from tests.runtime.tiny_bundle import write_tiny_bundle


@pytest.fixture
def discs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_discs(tmp_path / "discs")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A network that outlines what is red, as the bundle's folder."""
    return write_tiny_bundle(tmp_path / "tiny")


def evaluate(*arguments: object) -> int:
    return run_command_line(["eval", *map(str, arguments)])


def evaluate_tiny(data: Path, bundle: Path, *arguments: object) -> int:
    return evaluate(data, "--engine", bundle, "--precision", "fp32", *arguments)


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line on stderr of a call that must end with exit code 2."""
    assert evaluate(*arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_eval(discs: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--polyp-free-crops", 12, "--json", "report.json", "--csv", "frames.csv", "--froc", "curve")
    assert evaluate_tiny(discs, bundle, *options) == 0
    output = capsys.readouterr().out
    assert "4 frames scored, 2 with a polyp" in output
    assert "per image at 0.5 (headline)" in output
    assert "polyp-free outlined" in output

    for line in ("S-measure", "weighted F", "E-measure", "specificity", "FROC: false outlines a frame"):
        assert line in output
    assert "wrote curve.csv" in output

    report = json.loads(Path("report.json").read_text())
    with open("curve.csv", newline="") as file:
        points = list(csv.DictReader(file))
    assert [float(point["sensitivity"]) for point in points] == [p["sensitivity"] for p in report["froc"]]
    assert report["froc"][-1]["found"] == report["outlines"]["operating"]["found"]
    assert Path("curve.svg").read_text().startswith("<svg")
    assert 0 < report["structure"]["s_measure"]["mean"] < 1
    with open("frames.csv", newline="") as file:
        dices = [float(row["dice"]) for row in csv.DictReader(file) if row["dice"]]
    assert report["bundle"] == "tiny"
    assert report["sha256"] == read_spec(bundle / "spec.json").sha256
    assert report["figures"]["at_half"]["dice"] == pytest.approx(np.mean(dices), abs=1e-6)
    assert f"{np.mean(dices):.3f}" in output
    assert 0.4 < np.mean(dices) < 0.5  # one disc found, one missed
    assert report["outlines"]["operating"]["polyp_free"]["outlined"] == 1
    assert report["polyp_free_crops"]["operating"]["all"]["total"] == 12


def test_eval_by_split_and_threshold(discs: Path, bundle: Path) -> None:
    Path("mine.txt").write_text("found\n")
    options = ("--split", "mine.txt", "--threshold", "0.9", "--json", "report.json")
    assert evaluate_tiny(discs, bundle, *options) == 0
    report = json.loads(Path("report.json").read_text())
    assert (report["frames"], report["settings"]["threshold"]) == (1, 0.9)


def test_eval_leaves_out_seen_frames(discs: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = read_spec(bundle / "spec.json")
    object.__setattr__(spec, "trained_on", (image_fingerprint(discs / "images" / "found.png"),))
    write_spec(spec, bundle / "spec.json")
    assert evaluate_tiny(discs, bundle) == 0
    assert "3 frames scored, 1 with a polyp; 1 that the network has seen" in capsys.readouterr().out
    assert evaluate_tiny(discs, bundle, "--include-seen") == 0
    assert "4 frames scored, 2 with a polyp; 1 that the network has seen" in capsys.readouterr().out


def test_eval_of_predictions(discs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(discs, "--predictions", discs / "masks", "--json", "report.json") == 0
    report = json.loads(Path("report.json").read_text())
    assert report["figures"]["at_half"] == {
        "dice": 1.0, "iou": 1.0, "dice_interval": None, "iou_interval": None,
    }  # fmt: skip
    assert report["outlines"]["operating"]["found"] == 2
    assert "no interval of Dice and IoU: 2 images, 8 are needed" in capsys.readouterr().out


def test_eval_draws_the_worst(discs: Path) -> None:
    assert evaluate(discs, "--predictions", discs / "masks", "--worst", 1) == 0
    assert evaluate(discs, "--predictions", discs / "masks", "--sheet", "all.png") == 0
    one, all_cases = cv2.imread("discs.worst.png"), cv2.imread("all.png")
    assert one.shape[0] == all_cases.shape[0]
    assert one.shape[1] < all_cases.shape[1]


def test_eval_fails_on_bad_data(discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere: no such folder" in fails(capsys, "nowhere")
    assert "paper: no such split of" in fails(capsys, discs, "--split", "paper")
    (discs / "masks" / "found.png").unlink()
    assert "no mask" in fails(capsys, discs)


def test_eval_fails_on_a_frame_that_does_not_fit(
    discs: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cv2.imwrite(str(discs / "masks" / "missed.png"), np.zeros((7, 9), np.uint8))
    assert evaluate_tiny(discs, bundle) == 2
    assert "missed.png: 9x7 pixels, but the image has 256x192" in capsys.readouterr().err


def test_eval_fails_on_a_missing_bundle(discs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere: no such bundle" in fails(capsys, discs, "--engine", "nowhere")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--threshold", "1.5"), "threshold 1.5 is outside (0, 1)"),
        (("--threshold", "high"), 'unable to convert "high"'),
        (("--worst", "0"), "worst 0: give at least 1"),
        (("--polyp-free-crops", "-1"), "--polyp-free-crops -1"),
        (("--polyp-free-crops", "5", "--predictions", "discs/masks"), "--polyp-free-crops needs an engine"),
        (("--predictions", "empty"), "no prediction for this frame (4 of 4 are missing)"),
        (("--csv", "absent/frames.csv"), "absent/frames.csv: is a folder or lies in none that exists"),
        (("--json", "discs"), "discs: is a folder"),
        (("--sheet", "discs/masks/found.png"), "discs/masks/found.png: is one of the frames to score"),
    ],
)
def test_eval_fails_before_any_work(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    assert message in fails(capsys, discs, "--engine", "nowhere", *options)


def test_eval_fails_when_there_are_too_few_crops(
    discs: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate_tiny(discs, bundle, "--polyp-free-crops", 900) == 2
    assert "polyp-free crops exist in these 4 frames, 900 were asked for" in capsys.readouterr().err
