"""scripts/score_shipped.py: one row a part and precision, never a second, and what the rows come to."""

import dataclasses
import json
from pathlib import Path

import pytest

from rtpolyp.spec import read_spec, write_spec
from rtpolyp.terminal.command_line import run_app
from scripts.score_shipped import app
from scripts.shipped.log import COLUMNS, read
from scripts.shipped.summary import summary


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def score(data: Path, tiny: Path, results: Path):
    def score(*arguments: str) -> int:
        return run_app(app, [str(tiny), "--data", str(data), "-o", str(results), *arguments])

    return score


def test_every_part_and_precision_is_logged_with_its_hash(score, tiny: Path, results: Path) -> None:
    assert score() == 0
    rows = read(results / "test_log.csv")
    parts = ("kvasir-test", "negatives-test")
    assert [(row["precision"], row["part"]) for row in rows] == [
        (p, q) for p in ("fp32", "int8") for q in parts
    ]
    spec = read_spec(tiny / "spec.json")
    assert {row["digest"] for row in rows} == {spec.digest}
    assert [row["file_sha256"] for row in rows[1:3]] == [
        spec.sha256["model.onnx"],
        spec.sha256["model.int8.onnx"],
    ]
    discs, empty, *_ = rows
    assert float(discs["dice"]) > 0.9
    assert (discs["polyps"], discs["found_operating"], discs["polyp_free_crops"]) == ("9", "9", "12")
    assert (empty["dice"], empty["polyp_free_frames"], empty["outlined_operating"]) == ("", "2", "1")
    assert empty["outlined_operating_interval"] == "0.0126 to 0.9874"  # 1 of 2, Clopper and Pearson
    report = json.loads((results / "eval" / "tiny" / "kvasir-test-int8.json").read_text())
    assert report["figures"]["at_half"]["dice"] == pytest.approx(float(rows[2]["dice"]), abs=1e-4)
    assert (results / "eval" / "tiny" / "negatives-test-fp32.csv").is_file()


def test_a_second_look_fails_and_says_what_is_missing(score, results: Path, capsys) -> None:
    assert score("--part", "negatives-test", "--precision", "fp32") == 0
    before = (results / "test_log.csv").read_bytes()
    capsys.readouterr()
    assert score("--precision", "fp32") == 2
    error = capsys.readouterr().err
    assert "tiny" in error
    assert "was scored on negatives-test in fp32 on 20" in error
    assert "still to score: --part kvasir-test --precision fp32" in error
    assert (results / "test_log.csv").read_bytes() == before
    assert score("--part", "kvasir-test", "--precision", "fp32") == 0


def test_another_operating_point_is_another_bundle(score, tiny: Path, results: Path) -> None:
    assert score("--part", "negatives-test", "--precision", "fp32") == 0
    spec = read_spec(tiny / "spec.json")
    write_spec(dataclasses.replace(spec, threshold=0.9), tiny / "spec.json")
    assert score("--part", "negatives-test", "--precision", "fp32") == 0
    assert [row["threshold"] for row in read(results / "test_log.csv")] == ["0.5", "0.9"]


def test_a_foreign_log_fails(score, results: Path, capsys) -> None:
    results.mkdir()
    (results / "test_log.csv").write_text("date,dice\n")
    assert score() == 2
    assert "test_log.csv: other columns" in capsys.readouterr().err


def row(**values: str) -> dict[str, str]:
    return dict.fromkeys(COLUMNS, "") | values


def test_the_summary_names_what_is_met_and_what_is_missed() -> None:
    kvasir = {"part": "kvasir-test", "dice": "0.9500", "dice_operating": "0.9400", "iou": "0.8000"}
    kvasir |= {"polyps": "100", "found_operating": "99"}
    cvc = {"part": "cvc-sequence-test", "dice": "0.6400", "dice_operating": "0.7000", "macro_dice": "0.8000"}
    cvc |= {
        "polyp_free_crops": "100",
        "crops_outlined_operating": "5",
        "polyps": "10",
        "found_operating": "2",
    }
    normal = {"part": "normal-test", "polyp_free_frames": "200", "outlined_operating": "16"}
    right = {"polyp_free_crops": "100", "crops_outlined_operating": "11", "part": "normal-right-of-box"}
    above = {"polyp_free_crops": "100", "crops_outlined_operating": "12", "part": "normal-above-box"}
    painted = kvasir | {"part": "kvasir-box-painted", "found_operating": "97"}
    parts = (kvasir, cvc, normal, right, above, painted)
    rows = [row(bundle="tiny", precision="fp32", **part) for part in parts]
    rows.append(row(bundle="tiny", precision="int8", **(kvasir | {"dice": "0.9450"})))
    lines = "\n".join(summary(rows))
    assert "kvasir-test, dice: 0.9500, at least 0.938: met" in lines
    assert "cvc-sequence-test, macro dice: 0.8000, at least 0.801: missed" in lines
    assert "polyps found, IoU ≥ 0.3: 0.9182, at least 0.92: missed: 101 of 110, 91.8% [85.0%, 96.2%]" in lines
    assert "whole polyp-free frames outlined: 8.0%, at most 8%: met: 16 of 200" in lines
    assert "normal-right-of-box, more than whole: 3.0%, at most 3%: met: 11 of 100" in lines
    assert "normal-above-box, more than whole: 4.0%, at most 3%: missed: 12 of 100" in lines
    assert "polyps lost beside a painted box: 2.0%, at most 1%: missed: 97 of 100" in lines
    assert "polyp-free crops outlined: 5.0%, at most 5%: met: 5 of 100, 5.0% [1.6%, 11.3%]" in lines
    assert "int8 - fp32 at 0.5, kvasir-test: -0.0050, at least -0.003: missed" in lines
    assert "int8 - fp32 at the operating point, kvasir-test: +0.0000, at least -0.003: met" in lines


def test_a_bundle_for_accuracy_is_to_show_more() -> None:
    normal = {"part": "normal-test", "polyp_free_frames": "100", "outlined_operating": "7"}
    verdicts = [
        summary([row(bundle=bundle, precision="int8", **normal)])[1]
        for bundle in ("pranet-if", "pranet-if-plus")
    ]
    assert "at most 8%: met" in verdicts[0]
    assert "at most 6%: missed" in verdicts[1]
