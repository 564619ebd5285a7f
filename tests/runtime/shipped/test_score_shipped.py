"""scripts/score_shipped.py: one row a part and precision, never a second, and what the rows come to."""

import dataclasses
import json
from pathlib import Path

import pytest

from rtpolyp.cli import run_command_line
from rtpolyp.spec import read_spec, write_spec
from scripts.score_shipped import app
from scripts.shipped.log import COLUMNS, read
from scripts.shipped.summary import summary


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def score(data: Path, tiny: Path, results: Path):
    def score(*arguments: str) -> int:
        return run_command_line([str(tiny), "--data", str(data), "-o", str(results), *arguments], app)

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
    cvc = {"part": "cvc-sequence-test", "dice": "0.6400", "dice_operating": "0.7000", "macro_dice": "0.8800"}
    crops = {
        "polyp_free_crops": "100",
        "crops_outlined_operating": "5",
        "polyps": "10",
        "found_operating": "8",
    }
    lines = "\n".join(
        summary(
            [
                row(precision="fp32", **kvasir),
                row(precision="fp32", **cvc, **crops),
                row(precision="int8", **(kvasir | {"dice": "0.9450"})),
            ]
        )
    )
    assert "kvasir-test, dice: 0.9500, at least 0.94: met" in lines
    assert "kvasir-test, IoU: 0.8000, at least 0.89: missed" in lines
    assert "cvc-sequence-test, macro dice: 0.8800, at least 0.87: met" in lines
    assert "macro mean of 2 sources at 0.5: 0.7950" in lines
    assert "no source under 0.65 at 0.5: missed, lowest cvc-sequence-test 0.6400" in lines
    assert "polyps found, IoU ≥ 0.3: 0.8000, at least 0.9: missed: 8 of 10, 80.0% [44.4%, 97.5%]" in lines
    assert "polyp-free crops outlined, at most 8%: met: 5 of 100, 5.0% [1.6%, 11.3%]" in lines
    assert "int8 - fp32 at 0.5, kvasir-test: -0.0050, at least -0.003: missed" in lines
    assert "int8 - fp32 at the operating point, kvasir-test: +0.0000, at least -0.003: met" in lines
