"""`python -m train.generalise` as a user meets it: screening, mining, teachers, the seal, interrupts."""

import csv
import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from rtpolyp.spec import sha256_of
from tests.train import tiny_encoder
from tests.train.generalise.conftest import SCREENED, generalise
from train.checkpoint import load_checkpoint
from train.command_line import run_command_line
from train.generalise.__main__ import app
from train.generalise.ingredients import BASELINE, BRANCHES, INGREDIENTS
from train.hard_crops import read_hard_crops
from train.trainer import Trainer

LABELS = (BASELINE, *SCREENED)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def cell_of(out: Path, label: str, fold: str = "bkai", stage: str = "screen", seed: int = 0) -> Path:
    return out / stage / fold / label / f"seed{seed}"


def content_of(*args: object, **kwargs: object) -> dict:
    return json.loads((cell_of(*args, **kwargs) / "cell.json").read_text())


def scores_of(out: Path) -> dict:
    """The baseline's, to nine digits: of one training run twice, the weighted F differed in the eleventh."""
    text = json.dumps(content_of(out, BASELINE)["scores"])
    scores: dict = json.loads(text, parse_float=lambda number: round(float(number), 9))
    return scores


def fails(capsys: pytest.CaptureFixture[str], *args: object, **options: object) -> str:
    """The one line of a command that must end with exit code 2."""
    assert generalise(*args, **options) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_a_screening_scores_every_recipe_on_both_folds(screened):
    table = rows(screened / "table.csv")
    assert [(row["recipe"], row["left_out"]) for row in table] == [
        (label, fold) for label in (BASELINE, *sorted(SCREENED)) for fold in ("cvc-612", "bkai")
    ]
    for row in table:
        cell = cell_of(screened, row["recipe"], row["left_out"])
        frames = rows(cell / "frames.csv")
        assert len(frames) == int(row["frames"]) == 6  # train and val; the test part decides nothing
        assert not any("test" in frame["name"] for frame in frames)
        assert float(row["dice"]) == pytest.approx(np.mean([float(f["dice"]) for f in frames]), abs=1e-5)
        baseline = rows(cell_of(screened, BASELINE, row["left_out"]) / "frames.csv")
        if row["recipe"] != BASELINE:
            gains = [float(f["dice"]) - float(b["dice"]) for f, b in zip(frames, baseline, strict=True)]
            assert float(row["gain"]) == pytest.approx(np.mean(gains), abs=1e-5)
            assert row["verdict"] in ("keep", "drop")


def test_what_was_not_screened_is_listed_as_untried(screened):
    (line,) = [line for line in (screened / "table.md").read_text().splitlines() if "untried" in line]
    listed = line.removeprefix("- untried: ").split(", ")
    assert listed == [name for name in INGREDIENTS if name not in SCREENED]


def test_cells_train_on_the_same_frames_and_none_of_the_left_out_hospital(screened):
    for fold in ("cvc-612", "bkai"):
        checkpoints = [load_checkpoint(cell_of(screened, label, fold) / "best.pt") for label in LABELS]
        assert len({checkpoint.files for checkpoint in checkpoints}) == 1
        names = [file.name for file in checkpoints[0].seen]
        assert not any(name.startswith((fold, "polypgen-olcv")) for name in names)
        assert len(names) == 4 * 6  # five hospitals, one of them with frames without a polyp


def test_normal_frames_are_trained_on_where_a_recipe_asks_for_them_alone(hospitals, tmp_path):
    out = tmp_path / "out"
    assert generalise("screen", hospitals, out, ingredient=("boxes",), fold=("bkai",)) == 0
    seen = {
        label: [file.name for file in load_checkpoint(cell_of(out, label) / "best.pt").seen]
        for label in (BASELINE, "boxes")
    }
    normal = [f"kvasir-seg-hyperkvasir-negatives-train{index}.jpg" for index in range(4)]
    assert sorted(seen["boxes"]) == sorted([*seen[BASELINE], *normal])
    assert content_of(out, "boxes")["added"] == ["normal"]


def test_a_second_look_leaves_the_mask_and_is_fitted_without_the_left_out_hospital(
    hospitals, tmp_path, monkeypatch
):
    kinds = iter([0.9, 0.0] * 5000)  # every second outline counts as a polyp: the network errs too seldom
    monkeypatch.setattr("train.second_look.fit._iou", lambda *_: next(kinds))
    out = tmp_path / "out"
    options = {"net": "pranet-if", "steps": 30, "ingredient": ("second-look",), "fold": ("bkai",), "seeds": 1}
    assert generalise("full", hospitals, out, **options) == 0
    plain, final = (rows(cell_of(out, label, stage="full") / "frames.csv") for label in (BASELINE, "final"))
    before, after = ([float(frame["dice"]) for frame in of] for of in (plain, final))
    assert after == pytest.approx(before, abs=0.02)  # masks at 0.5 differ by resizing alone
    looked = load_checkpoint(cell_of(out, "final", stage="full") / "looked.pt")
    names = {file.name for file in looked.looked_at}
    assert "kvasir-seg-hyperkvasir-negatives-train0.jpg" in names  # new to the network
    assert "kvasir-seg-paper80-10-10-train0.jpg" not in names
    assert not any(name.startswith(("bkai", "polypgen-olcv")) for name in names)
    cell = content_of(out, "final", stage="full")
    assert (
        cell["without_second_look"]["figures"]["at_half"]
        == content_of(out, BASELINE, stage="full")["scores"]["figures"]["at_half"]
    )
    recipes = [row["recipe"] for row in rows(out / "table.csv")]
    assert recipes == [BASELINE, "final", "final without its second look"]
    assert cell["scores"]["settings"] == looked.second_look["point"]
    assert cell["checkpoint_sha256"] == sha256_of(cell_of(out, "final", stage="full") / "looked.pt")


def test_hard_crops_are_of_the_folds_own_frames(screened):
    crops = read_hard_crops(cell_of(screened, BASELINE) / "hard_crops.csv")
    seen = {file.sha256 for file in load_checkpoint(cell_of(screened, BASELINE) / "best.pt").files}
    assert {crop.sha256 for crop in crops} <= seen
    weights = [
        load_checkpoint(cell_of(screened, label) / "last.pt").model for label in (BASELINE, "hard-crops")
    ]
    assert any(not torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_a_taught_cell_names_its_teachers_and_what_they_have_seen(screened):
    cell = content_of(screened, "distillation")
    assert list(cell["teachers"]) == ["baseline", "transfer"]
    assert cell["teachers"]["transfer"] == content_of(screened, "transfer")["checkpoint_sha256"]
    checkpoint = load_checkpoint(cell_of(screened, "distillation") / "best.pt")
    assert set(checkpoint.earlier) == set(checkpoint.files)


def test_branches_begin_with_the_baseline_and_their_mean_is_scored(screened):
    folder = cell_of(screened, "branches")
    branches = [load_checkpoint(folder / name / "best.pt") for name in BRANCHES]
    assert [branch.recipe.steps for branch in branches] == [2, 2]
    assert len({branch.recipe.seed for branch in branches} | {0}) == 3
    assert (branches[0].recipe.transfer, branches[1].recipe.polyp_free_crops) == (0.25, 0.2)
    begun_with = load_checkpoint(cell_of(screened, BASELINE) / "best.pt")
    assert all(set(branch.earlier) == set(begun_with.files) for branch in branches)
    mean = load_checkpoint(folder / "best.pt")
    for name, value in mean.ema.items():
        expected = torch.stack([branch.ema[name].float() for branch in branches]).mean(0)
        torch.testing.assert_close(value.float(), expected)
    cell = content_of(screened, "branches")
    assert cell["validation_dice"] == mean.best_dice
    assert cell["recipe"]["steps"] == 4


def test_polyp_free_pictures_are_the_same_for_all(screened):
    for fold in ("cvc-612", "bkai"):
        scores = [content_of(screened, label, fold)["scores"] for label in LABELS]
        totals = {score["polyp_free_crops"]["operating"]["all"]["total"] for score in scores}
        assert totals == {12}  # two of each of six frames


def test_a_finished_screening_is_left_alone_and_other_settings_are_refused(hospitals, screened, capsys):
    before = {file: file.stat().st_mtime_ns for file in screened.glob("screen/*/*/*/*")}
    assert (
        generalise("screen", hospitals, screened, ingredient=SCREENED, teachers=("baseline", "transfer")) == 0
    )
    assert {file: file.stat().st_mtime_ns for file in screened.glob("screen/*/*/*/*")} == before
    error = fails(capsys, "screen", hospitals, screened, steps=5)
    assert "baseline/seed0/cell.json: was trained with other settings: steps 4 → 5. Give another -o" in error


def test_a_budget_ends_within_a_cell_and_the_same_command_ends_in_the_same_scores(
    hospitals, screened, tmp_path, monkeypatch, caplog
):
    advance = Trainer.advance
    monkeypatch.setattr(Trainer, "advance", lambda self: (time.sleep(2.5), advance(self)))
    caplog.set_level("INFO")
    out = tmp_path / "out"
    assert generalise("screen", hospitals, out, fold=("bkai",), budget_minutes=0.1) == 0
    assert "budget spent, 1 cells left; the same command goes on" in caplog.text
    step = load_checkpoint(cell_of(out, BASELINE) / "last.pt").step
    assert 0 < step < 4
    monkeypatch.undo()
    tiny_encoder.register(monkeypatch)
    assert generalise("screen", hospitals, out, fold=("bkai",)) == 0
    assert scores_of(out) == scores_of(screened)


def test_sigterm_ends_with_130_and_goes_on(hospitals, screened, tmp_path, monkeypatch):
    advance = Trainer.advance

    def stopped(self):
        advance(self)
        if self.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "advance", stopped)
    out = tmp_path / "out"
    assert generalise("screen", hospitals, out, fold=("bkai",)) == 130
    assert not (cell_of(out, BASELINE) / "cell.json").exists()
    assert generalise("screen", hospitals, out, fold=("bkai",)) == 0
    assert scores_of(out) == scores_of(screened)


def test_the_sealed_hospital_is_scored_once_and_logged(hospitals, screened, tmp_path, capsys):
    out, log = shutil.copytree(screened, tmp_path / "out"), tmp_path / "unsealed.csv"
    options = {"ingredient": ("transfer", "hue"), "recipe": ("final",), "seeds": 1, "seal_log": log}
    only = {"fold": ("polypgen-olcv",)}
    assert "sealed while recipes are chosen" in fails(capsys, "full", hospitals, out, **options, **only)
    assert generalise("full", hospitals, out, **options, **only, unseal=True) == 0
    cell = content_of(out, "final", "polypgen-olcv", "full")
    assert (cell["recipe"]["transfer"], cell["recipe"]["hue_degrees"]) == (0.25, 14.4)
    assert cell["scored_parts"] == ["train", "val", "test"]
    (row,) = rows(log)
    assert (row["recipe"], row["checkpoint_sha256"]) == ("final", cell["checkpoint_sha256"])
    assert float(row["dice"]) == pytest.approx(cell["scores"]["figures"]["at_half"]["dice"], abs=1e-4)
    assert generalise("full", hospitals, out, **options, **only, unseal=True) == 0  # is finished
    assert len(rows(log)) == 1
    shutil.rmtree(out / "full")
    capsys.readouterr()
    error = fails(capsys, "full", hospitals, out, **options, **only, unseal=True)
    assert "polypgen-olcv was scored with recipe final, seed 0, on 20" in error


@pytest.mark.parametrize(
    ("stage", "options", "line"),
    [
        ("screen", {"ingredient": ("salt",)}, "ingredient 'salt' is unknown; there are: share-uniform"),
        ("screen", {"fold": ("polypgen-olcv",)}, "fold polypgen-olcv: sealed while recipes are chosen"),
        ("screen", {"ingredient": ("distillation",)}, "distillation: learns from other cells. Name them"),
        (
            "screen",
            {"ingredient": ("second-look",)},
            "second-look: fcn has no second look. Use --net pranet-if",
        ),
        (
            "full",
            {"ingredient": ("picture-crop", "hard-crops")},
            "final: hard crops are parts of whole frames. Leave out picture-crop, or hard-crops",
        ),
        ("full", {}, "recipe final: the screening kept nothing. Run screen, or name what --ingredient"),
        ("full", {"recipe": ("best",)}, "recipe 'best' is unknown; there are: baseline, final"),
        ("full", {"seeds": 0, "recipe": ("baseline",)}, "seeds: 0 cannot work. Give 1 or more"),
    ],
)
def test_a_users_error_is_one_line(stage, options, line, hospitals, tmp_path, capsys):
    assert fails(capsys, stage, hospitals, tmp_path / "out", **options).startswith(f"rtpolyp: {line}")
    assert not list((tmp_path / "out").glob("*/*/*/last.pt"))


def test_a_teacher_that_is_not_finished_is_named(hospitals, tmp_path, capsys):
    options = {"ingredient": ("distillation",), "teachers": ("hue",), "fold": ("bkai",)}
    error = fails(capsys, "screen", hospitals, tmp_path / "out", **options)
    assert "screen/bkai/hue/seed0: distillation learns from this cell. Run that recipe first" in error
    assert not list((tmp_path / "out").glob("*/*/*/last.pt"))


def test_mining_is_a_command_of_its_own(hospitals, screened, tmp_path):
    file = tmp_path / "hard.csv"
    checkpoint = cell_of(screened, BASELINE) / "best.pt"
    tokens = ["mine", "--checkpoint", checkpoint, "--data", hospitals, "--fold", "bkai", "-o", file]
    assert run_command_line(app, list(map(str, tokens))) == 0
    assert read_hard_crops(file) == read_hard_crops(checkpoint.with_name("hard_crops.csv"))


def test_the_report_can_be_written_again(screened, tmp_path, capsys):
    out = shutil.copytree(screened, tmp_path / "out")
    before = {name: (out / name).read_text() for name in ("table.md", "table.csv")}
    for name in before:
        (out / name).unlink()
    assert run_command_line(app, ["report", "-o", str(out)]) == 0
    assert {name: (out / name).read_text() for name in before} == before
    assert run_command_line(app, ["report", "-o", str(tmp_path)]) == 2
    assert "no finished cell in it. Run screen or full first" in capsys.readouterr().err
