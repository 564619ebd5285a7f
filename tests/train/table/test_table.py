"""`python -m train.table` as a user meets it: a whole table, interrupts, budgets, refusals."""

import csv
import json
import os
import shutil
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from rtpolyp.imaging.image_file import read_image
from rtpolyp.imaging.mask_file import read_mask
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.measure.evaluation import evaluate_engine
from rtpolyp.spec import sha256_of
from tests.train.table.tables import CELLS, run_table
from train.checkpoint import load_checkpoint, load_network
from train.data import parse_source
from train.experiment.torch_engine import engine_of
from train.export.parity import reference
from train.optimisation import Numerics
from train.trainer import Trainer

HALVED = 5e-3  # Dice; the kept weights are FP16, the scored ones were not


def cells(out: Path) -> list[dict]:
    return [json.loads((out / cell / "cell.json").read_text()) for cell in CELLS]


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_table_has_means_and_gain_of_all_seeds(finished):
    plain, fused = rows(finished / "table.csv")
    assert (plain["network"], fused["network"]) == ("fcn", "fcn-if")
    for line, own in ((plain, cells(finished)[::2]), (fused, cells(finished)[1::2])):
        dices = [cell["tests"]["clinic:half"]["dice"] for cell in own]
        assert float(line["dice"]) == pytest.approx(np.mean(dices), abs=1e-5)
        assert float(line["dice_sd"]) == pytest.approx(np.std(dices, ddof=1), abs=1e-5)
        assert (line["seeds"], line["encoder"], line["initialisation"]) == ("0 1", "tiny", "random")
        assert int(line["parameters"]) > 0
    gain = float(fused["dice"]) - float(plain["dice"])
    assert float(fused["gain"]) == pytest.approx(gain, abs=1e-5)
    assert float(fused["gain_low"]) <= gain <= float(fused["gain_high"])
    assert plain["gain"] == ""
    text = (finished / "table.md").read_text()
    assert f"| {gain:+.3f} [" in text


def test_the_last_weights_are_scored_at_the_size_of_the_truth(clinic, finished):
    """The same by another way: PyTorch on each image, sizes and Dice by hand."""
    folder = finished / CELLS[1]
    network = load_network(load_checkpoint(folder / "weights.pt"))
    for row in rows(folder / "clinic.half.csv"):
        image = read_image(clinic / "images" / f"{row['name']}.jpg")
        truth = read_mask(clinic / "masks" / f"{row['name']}.png")
        probability = reference(network, resize_frame(image, (64, 64))[None])[0]
        found = cv2.resize(probability, truth.shape[::-1]) >= 128
        dice = 2 * (found & truth).sum() / (found.sum() + truth.sum())
        assert float(row["dice"]) == pytest.approx(dice, abs=HALVED)


def test_a_cell_says_how_it_was_made(finished):
    for cell, name in zip(cells(finished), CELLS, strict=True):
        net, seed = name.split("/")[1].removesuffix(".tiny.random"), int(name[-1])
        assert (cell["network"]["name"], cell["seed"], cell["recipe"]["seed"]) == (net, seed, seed)
        assert (cell["scored_step"], cell["numerics"]["bfloat16"]) == (4, False)
        assert cell["network"]["head"] == ("conv" if net == "fcn" else None)
        assert cell["training_seconds"] > 0
        assert cell["torch"] == torch.__version__
        assert cell["tests"]["clinic:half"].keys() == {"frames", "dice", "iou"}
        assert cell["loss"]["step"] == [4]
        assert cell["weights_sha256"] == sha256_of(finished / name / "weights.pt")
        assert not list((finished / name).glob("*t.pt"))  # last.pt and best.pt are ten times as large
    plain, fused = cells(finished)[:2]
    assert plain["recipe"] == fused["recipe"]  # the arms differ by the module alone


def test_a_finished_table_is_left_alone(clinic, finished):
    before = {file: file.stat().st_mtime_ns for file in finished.glob("*/*/*/*")}
    assert run_table(finished, clinic) == 0
    assert {file: file.stat().st_mtime_ns for file in finished.glob("*/*/*/*")} == before


def test_a_table_that_sigterm_stopped_ends_in_the_same_scores(clinic, finished, tmp_path, monkeypatch):
    steps = []
    advance = Trainer.advance

    def stopped(self):
        advance(self)
        steps.append(self.step)
        if len(steps) == 7:  # the third of the second cell
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "advance", stopped)
    out = tmp_path / "table"
    assert run_table(out, clinic) == 130
    assert [(out / cell / "cell.json").exists() for cell in CELLS] == [True, False, False, False]
    assert run_table(out, clinic) == 0
    assert steps == [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]
    for stopped_cell, cell in zip(cells(out), cells(finished), strict=True):
        assert stopped_cell["tests"] == cell["tests"]


def test_a_spent_budget_stops_within_a_cell_and_saves_it(clinic, finished, tmp_path, monkeypatch, caplog):
    advance = Trainer.advance
    is_second = []

    def slow(self):
        advance(self)
        is_second.append(self.spec.name == "fcn-if")
        if is_second[-1]:
            signal.raise_signal(signal.SIGALRM)  # what the clock does when the budget is spent

    monkeypatch.setattr(Trainer, "advance", slow)
    caplog.set_level("INFO")
    out = tmp_path / "table"
    assert run_table(out, clinic, budget_minutes=60) == 0
    assert [(out / cell / "cell.json").exists() for cell in CELLS] == [True, False, False, False]
    assert load_checkpoint(out / CELLS[1] / "last.pt").step == 1
    assert "budget spent, 3 cells left; the same command goes on" in caplog.text
    (line,) = rows(out / "table.csv")
    assert (line["network"], line["seeds"]) == ("fcn", "0")
    assert "| FCN + IF | – |" in (out / "table.md").read_text().split("## clinic, half")[1]
    monkeypatch.setattr(Trainer, "advance", advance)
    assert run_table(out, clinic) == 0
    assert [cell["tests"] for cell in cells(out)] == [cell["tests"] for cell in cells(finished)]


def test_number_formats_are_timed_once_and_kept(clinic, tmp_path, monkeypatch):
    measured = []
    monkeypatch.setattr("train.loop.fastest_numerics", lambda *_: measured.append(1) or Numerics(True, False))
    out = tmp_path / "table"
    out.mkdir()
    assert run_table(out, clinic, steps=1) == 0
    assert measured == [1]
    assert all(cell["numerics"]["channels_last"] for cell in cells(out))


def test_pranets_protocol_trains_one_model_on_both_sets(clinic, tmp_path):
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        shutil.copytree(clinic, folder)
        (folder / "splits" / "half_val.txt").unlink()
    (folders[1] / "splits" / "half_train.txt").write_text("train0\ntrain1\ntrain2\nval0\nval1\nval2\n")
    for stem in (
        "train0",
        "train1",
        "train2",
        "val0",
        "val1",
        "val2",
        "test0",
    ):  # other bytes than the first's
        image = cv2.imread(str(folders[1] / "images" / f"{stem}.jpg"))
        cv2.imwrite(str(folders[1] / "images" / f"{stem}.jpg"), image[:, ::-1])
        mask = cv2.imread(str(folders[1] / "masks" / f"{stem}.png"))
        cv2.imwrite(str(folders[1] / "masks" / f"{stem}.png"), mask[:, ::-1])
    out = tmp_path / "table"
    assert run_table(out, *folders, seeds=1, protocol="pranet", validate_every=2) == 0
    lines = rows(out / "table.csv")
    assert [(line["test"], line["network"]) for line in lines] == [
        (f"{name}:half", net) for name in ("first", "second") for net in ("fcn", "fcn-if")
    ]
    folder = out / "first.half+second.half" / "fcn.tiny.random" / "seed0"
    scored = json.loads((folder / "cell.json").read_text())
    assert scored["scored_step"] == 4  # the last, whatever was best
    trained = [file.source for file in load_checkpoint(folder / "weights.pt").files]
    assert [trained.count(f"{name}:half") for name in ("first", "second")] == [5, 5]  # of six: one is watched
    assert float(lines[0]["dice"]) == pytest.approx(scored["tests"]["first:half"]["dice"], abs=1e-5)
    checkpoint = load_checkpoint(folder / "weights.pt")
    with engine_of(checkpoint, "cpu") as engine:
        (pair, *_) = parse_source(f"{folders[0]}:half").pairs("test")
        (frame,) = evaluate_engine(engine, [pair]).frames
    first = rows(folder / "first.half.csv")[0]
    assert float(first["dice"]) == pytest.approx(frame.threshold_dice, abs=HALVED)  # of 256 thresholds


def test_report_only_makes_the_table_again(finished, tmp_path):
    out = shutil.copytree(finished, tmp_path / "table")
    before = {name: (out / name).read_text() for name in ("table.md", "table.csv")}
    for name in before:
        (out / name).unlink()
    assert run_table(out, report_only=True) == 0
    assert {name: (out / name).read_text() for name in before} == before
