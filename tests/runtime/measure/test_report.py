import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtpolyp.errors import OutputError
from rtpolyp.measure.crops import evaluate_crops, polyp_free_crops
from rtpolyp.measure.dataset import Pair
from rtpolyp.measure.evaluation import Evaluation, evaluate_engine, load_pairs, score_frame
from rtpolyp.measure.figure_files import append_row, write_json, write_text
from rtpolyp.measure.report import figures, outlines, parts, to_dict, units, write_csv
from rtpolyp.measure.statistics import bootstrap_mean, clopper_pearson
from rtpolyp.settings import Settings

POINT = Settings(0.5, 0.0, 0.0)


def evaluation(groups: list[tuple[str, str]], polyp_free: int = 0) -> Evaluation:
    """Frames whose prediction overlaps the truth more and more, and some without a polyp, all outlined."""
    frames = []
    for number, (group, family) in enumerate(groups + [("free", "")] * polyp_free):
        truth = np.zeros((64, 64), bool)
        truth[10:30, 10:30] = number < len(groups)
        probability = np.zeros((64, 64), np.uint8)
        probability[10:30, 10 + 20 - number : 30 + 20 - number] = 200
        pair = Pair(Path(f"{number}.png"), Path(f"{number}.png"), str(number), group, family)
        frames.append(score_frame(pair, probability, truth, POINT))
    return Evaluation("an engine", POINT, tuple(frames), 0, False)


def test_figures() -> None:
    result = evaluation([(str(n), "") for n in range(20)], polyp_free=2)
    by_key = {figure.key: figure for figure in figures(result)}
    dices = [number / 20 for number in range(20)]  # of 400 pixels each, 20 × number are common
    assert by_key["at_half"].dice == pytest.approx(np.mean(dices))
    assert by_key["at_half"].dice == result.dice
    assert by_key["at_half"].dice_interval == bootstrap_mean(dices, [str(n) for n in range(20)])
    assert by_key["pooled"].dice == pytest.approx(np.mean(dices))  # the same here, as all areas are equal
    assert by_key["pooled"].iou == pytest.approx(190 / (800 - 190))
    assert by_key["two_class"].dice is None
    assert by_key["pranet"].dice < by_key["at_half"].dice  # threshold 0 marks everything
    assert set(by_key) == {
        "at_half",
        "operating",
        "two_class",
        "pranet",
        "resunetpp",
        "pooled",
        "pooled_operating",
    }


def test_figures_need_a_polyp() -> None:
    result = evaluation([], polyp_free=3)
    assert figures(result) == []
    assert np.isnan(result.dice)


def test_outlines() -> None:
    at_half, operating = outlines(evaluation([(str(n), "") for n in range(20)], polyp_free=3))
    # IoU = n / (40 - n) reaches 0.3 from n = 10 on
    assert (at_half.polyps, at_half.found, at_half.false_outlines) == (20, 10, 13)
    assert at_half.sensitivity == clopper_pearson(10, 20)
    assert (at_half.polyp_free.outlined, at_half.polyp_free.total) == (3, 3)
    assert operating.polyps == 20


def test_intervals_need_eight_groups() -> None:
    few = evaluation([(f"sequence {n // 3}", f"sequence {n // 3}") for n in range(18)])
    assert units(few) == "6 groups of images"
    assert all(figure.dice_interval is None for figure in figures(few))
    assert [part.name for part in parts(few)] == [f"sequence {n}" for n in range(6)]
    assert parts(few)[1].dice == pytest.approx(np.mean([3, 4, 5]) / 20)


def test_parts_go_by_hospital() -> None:
    result = evaluation([(str(n), "hospital-A" if n < 12 else "hospital-B") for n in range(18)])
    assert [(part.name, part.frames, part.found) for part in parts(result)] == [
        ("hospital-A", 12, 2),
        ("hospital-B", 6, 6),
    ]
    assert units(result) == "18 images"


def test_parts_go_by_number_of_the_sequence() -> None:
    result = evaluation([(f"sequence {n}", f"sequence {n}") for n in (10, 9, 1)])
    assert [part.name for part in parts(result)] == ["sequence 1", "sequence 9", "sequence 10"]


def test_one_part_is_no_part() -> None:
    assert parts(evaluation([(str(n), "bkai") for n in range(12)])) == []


def test_write_csv(discs: Path, tmp_path: Path, red_engine: Callable) -> None:
    with red_engine() as engine:
        result = evaluate_engine(engine, load_pairs(discs), POINT)
    write_csv(result, tmp_path / "frames.csv")
    with (tmp_path / "frames.csv").open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["clean", "found", "missed", "outlined"]
    assert float(rows["found"]["dice"]) == pytest.approx(result.frames[1].half.dice, abs=1e-6)
    assert rows["outlined"]["dice"] == rows["clean"]["soft_dice_256_px"] == ""
    assert (rows["missed"]["polyps"], rows["missed"]["found"], rows["missed"]["false_outlines"]) == (
        "1",
        "0",
        "1",
    )


def test_write_json(discs: Path, tmp_path: Path, red_engine: Callable) -> None:
    pairs = load_pairs(discs)
    with red_engine() as engine:
        result = evaluate_engine(engine, pairs, POINT)
        crops = evaluate_crops(engine, polyp_free_crops(pairs, 12), POINT)
    write_json(to_dict(result, crops=crops, data="discs"), tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["data"], report["source"], report["frames"]) == ("discs", engine.description, 4)
    assert report["figures"]["at_half"]["dice"] == pytest.approx(result.dice)
    assert report["figures"]["at_half"]["dice_interval"] is None
    assert report["outlines"]["operating"]["polyp_free"]["outlined"] == 1
    assert report["polyp_free_crop_frames"] == 4
    assert report["polyp_free_crops"]["operating"]["all"]["total"] == 12


def test_writing_fails_where_it_cannot(tmp_path: Path) -> None:
    result = evaluation([("a", "")])
    with pytest.raises(OutputError, match=r"absent/frames\.csv: cannot be written \(No such file"):
        write_csv(result, tmp_path / "absent" / "frames.csv")
    with pytest.raises(OutputError, match=r"cannot be written \(Is a directory"):
        write_json(to_dict(result), tmp_path)


def test_append_row(tmp_path: Path) -> None:
    log = tmp_path / "results" / "log.csv"
    append_row({"part": "a", "dice": "0.5"}, log)
    append_row({"part": "b, c", "dice": "0.6"}, log)
    assert log.read_bytes() == b'part,dice\na,0.5\n"b, c",0.6\n'


def test_append_row_fails(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot be written \(Is a directory\)"):
        append_row({"part": "a"}, tmp_path)


def test_write_text_fails(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot be written \(Is a directory\)"):
        write_text("text", tmp_path)


def test_rows_hold_no_formulas(tmp_path: Path):
    path = tmp_path / "log.csv"
    append_row({"recipe": "=1+1", "gain": "-0.12", "seed": 3, "note": "a\nb"}, path)
    assert path.read_text() == "recipe,gain,seed,note\n'=1+1,-0.12,3,a\\nb\n"


def test_frames_in_a_csv_are_no_formulas(tmp_path: Path):
    path = tmp_path / "frames.csv"
    write_csv(evaluation([("=cmd|' /C calc'!A0", "@SUM(A1)")]), path)
    (row,) = csv.DictReader(path.read_text().splitlines())
    assert not {value[0] for value in row.values() if value} & set("=+@")
