"""The loop: cut off at any step, it goes on to the very same weights."""

import csv
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import torch

from rtpolyp.errors import InputError, RtpolypError
from tests.train import tiny_encoder
from tests.train.polyps import write_polyps
from tests.train.short_run import BFLOAT16, FLOAT32, RECIPE, run
from train.checkpoint import load_checkpoint, load_network
from train.data import Source, load_frames, parse_source
from train.losses import LOSSES, bce_dice_loss
from train.validate import Validation, validate

HEADS = 2  # of pranet-if: the loss is called as often in each step


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    tiny_encoder.register(monkeypatch)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Source:
    return parse_source(str(write_polyps(tmp_path_factory.mktemp("data") / "clinic", polyp_free=1)))


def stop_in_step(monkeypatch, number: int) -> None:
    """Let SIGTERM arrive in the middle of a step."""
    calls = 0

    def loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == HEADS * number:
            signal.raise_signal(signal.SIGTERM)
        return bce_dice_loss(logits, target)

    monkeypatch.setitem(LOSSES, "bce-dice", loss)


def assert_same(first: Path, second: Path) -> None:
    """Bit-identical weights, averages and optimiser state."""
    for name in ("last.pt", "best.pt"):
        one, other = load_checkpoint(first / name), load_checkpoint(second / name)
        assert (one.step, one.best_dice) == (other.step, other.best_dice)
        for of_one, of_other in ((one.ema, other.ema), (one.model or {}, other.model or {})):
            assert of_one.keys() == of_other.keys()
            assert all(torch.equal(of_one[key], of_other[key]) for key in of_one)
    moments, others = (load_checkpoint(f / "last.pt").optimiser["state"] for f in (first, second))
    assert all(torch.equal(moments[i][key], others[i][key]) for i in moments for key in moments[i])


def steps_of(file: Path) -> list[int]:
    with file.open(newline="") as stream:
        return [int(row["step"]) for row in csv.DictReader(stream)]


@pytest.mark.parametrize("numerics", [FLOAT32, BFLOAT16], ids=["float32", "bfloat16"])
def test_a_run_cut_off_twice_ends_in_the_weights_of_an_uninterrupted_one(
    source, tmp_path, monkeypatch, numerics
):
    run(source, tmp_path / "whole", numerics)
    stop_in_step(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "cut", numerics)
    assert load_checkpoint(tmp_path / "cut" / "last.pt").step == 3
    stop_in_step(monkeypatch, 4)
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "cut", numerics, resume=True)
    assert load_checkpoint(tmp_path / "cut" / "last.pt").step == 7
    shutil.copytree(tmp_path / "cut", tmp_path / "killed")
    monkeypatch.undo()
    tiny_encoder.register(monkeypatch)
    run(source, tmp_path / "cut", numerics, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "cut")
    assert steps_of(tmp_path / "cut" / "train.csv") == [3, 4, 7, 8, 10]
    assert steps_of(tmp_path / "cut" / "val.csv") == [4, 8, 10]

    # killed later on, without a chance to save: everything but last.pt is ahead of it
    shutil.copy(tmp_path / "killed" / "last.pt", tmp_path / "cut" / "last.pt")
    run(source, tmp_path / "cut", numerics, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "cut")
    assert steps_of(tmp_path / "cut" / "train.csv") == [3, 4, 7, 8, 10]
    assert steps_of(tmp_path / "cut" / "val.csv") == [4, 8, 10]


def test_best_holds_the_averaged_weights_that_were_validated(source, tmp_path):
    best = run(source, tmp_path / "run")
    assert best == tmp_path / "run" / "best.pt"
    chosen = load_checkpoint(best)
    assert chosen.model is None
    with (tmp_path / "run" / "val.csv").open(newline="") as stream:
        validations = {int(row["step"]): float(row["dice"]) for row in csv.DictReader(stream)}
    assert validations[chosen.step] == max(validations.values()) == pytest.approx(chosen.best_dice, rel=1e-5)
    again = validate(load_network(chosen), load_frames([source], "val", 96), 4, torch.device("cpu"))
    assert again.macro_dice == pytest.approx(chosen.best_dice, abs=1e-6)
    assert [file.name for file in chosen.files] == [f"train{index}.jpg" for index in range(6)]
    assert {file.source for file in chosen.files} == {"clinic:half"}


def test_a_network_learns_to_outline_the_ellipses(source, tmp_path):
    recipe = replace(RECIPE, steps=60, sizes=((64, 1.0),), validate_every=60)
    best = run(source, tmp_path / "run", recipe=recipe)
    assert (
        load_checkpoint(best).best_dice > 0.5
    )  # untrained networks gave 0 to 0.11, trained ones 0.80 and 0.85


def test_resuming_a_finished_run_changes_nothing(source, tmp_path):
    run(source, tmp_path / "run")
    before = (tmp_path / "run" / "last.pt").read_bytes()
    assert run(source, tmp_path / "run", resume=True) == tmp_path / "run" / "best.pt"
    assert (tmp_path / "run" / "last.pt").read_bytes() == before


def score_as(monkeypatch, *dices: float) -> None:
    """Let validations find these macro Dice values in turn, and then the last one again."""
    left = list(dices)

    def found(*_) -> Validation:
        dice = left.pop(0) if len(left) > 1 else left[0]
        return Validation({"clinic:half": dice}, {"clinic:half": dice / 2}, 0.0)

    monkeypatch.setattr("train.loop.validate", found)


def test_patience_ends_a_run_at_its_best_whether_or_not_it_was_cut_off(source, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", logger="train")
    recipe = replace(RECIPE, validate_every=1, patience=3, plateau_patience=2, plateau_factor=0.5)
    score_as(monkeypatch, 0.2, 0.6, 0.5, 0.6, 0.4)
    run(source, tmp_path / "whole", recipe=recipe)
    assert "ended at step 5: 3 validations without a better one" in caplog.messages
    last = load_checkpoint(tmp_path / "whole" / "last.pt")
    assert (last.step, last.stale, last.lr_scale, last.best_dice) == (5, 3, 0.5, 0.6)
    assert load_checkpoint(tmp_path / "whole" / "best.pt").step == 2

    score_as(monkeypatch, 0.2, 0.6, 0.5, 0.6)
    stop_in_step(monkeypatch, 4)
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "cut", recipe=recipe)
    score_as(monkeypatch, 0.4)
    run(source, tmp_path / "cut", recipe=recipe, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "cut")
    assert steps_of(tmp_path / "cut" / "val.csv") == [1, 2, 3, 4, 5]


def test_a_run_that_is_extended_ends_as_if_it_had_been_longer_from_the_start(source, tmp_path):
    longer = replace(RECIPE, steps=8, sizes=((64, 1.0),), schedule="constant")
    shorter = replace(longer, steps=4)
    run(source, tmp_path / "whole", recipe=longer)
    run(source, tmp_path / "extended", recipe=shorter)
    run(source, tmp_path / "extended", recipe=longer, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "extended")
    assert load_checkpoint(tmp_path / "extended" / "last.pt").recipe.steps == 8
    assert steps_of(tmp_path / "extended" / "val.csv") == [4, 8]


def test_one_cycle_goes_on_where_the_longer_one_would_be(source, tmp_path):
    shorter, longer = (replace(RECIPE, steps=steps, sizes=((64, 1.0),), warmup=0.5) for steps in (2, 8))
    run(source, tmp_path / "run", recipe=shorter, save_minutes=0)
    run(source, tmp_path / "run", recipe=longer, save_minutes=0, resume=True)
    with (tmp_path / "run" / "train.csv").open(newline="") as stream:
        rates = [float(row["lr"]) for row in csv.DictReader(stream)]
    assert rates[1] == max(rates) == 1e-2  # the short one's peak
    assert rates[2:5] == pytest.approx([1e-2 * (0.04 + 0.96 * step / 4) for step in (2, 3, 4)], rel=1e-4)


def test_a_run_is_not_shortened(source, tmp_path):
    run(source, tmp_path / "run", recipe=replace(RECIPE, steps=2))
    with pytest.raises(InputError, match=r"other settings: steps 2 → 1\. Give the same"):
        run(source, tmp_path / "run", recipe=replace(RECIPE, steps=1), resume=True)


def test_another_precision_than_the_runs_fails(source, tmp_path):
    run(source, tmp_path / "run", recipe=replace(RECIPE, steps=1))
    with pytest.raises(InputError, match=r"other settings: precision float32 → bfloat16\. Give the same"):
        run(source, tmp_path / "run", recipe=replace(RECIPE, steps=1), precision="bfloat16", resume=True)


def test_last_is_saved_on_the_way(source, tmp_path, monkeypatch):
    """With no minutes between saves, every step is saved: what a kill -9 leaves."""
    steps = []
    monkeypatch.setattr(
        "train.loop.save_checkpoint", lambda path, saved: steps.append((path.name, saved.step))
    )
    with pytest.raises(InputError, match="no such checkpoint"):  # best.pt was not really written
        run(source, tmp_path / "run", recipe=replace(RECIPE, steps=3), save_minutes=0)
    assert [step for name, step in steps if name == "last.pt"] == [1, 2, 3]


def culprit_source(folder: Path) -> Source:
    """A data set one frame of which is all polyp."""
    write_polyps(folder)
    mask = cv2.imread(str(folder / "masks" / "train4.png"))
    mask[:] = 255
    cv2.imwrite(str(folder / "masks" / "train4.png"), mask)
    return parse_source(str(folder))


def test_a_loss_that_is_no_number_stops_and_names_the_batch(tmp_path, monkeypatch):
    source = culprit_source(tmp_path / "culprits")
    recipe = replace(RECIPE, polyp_free_crops=0, polyp_free_frames=0, batch=2, steps=40, validate_every=100)
    out = tmp_path / "run"
    drawn = [0]

    def loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        value = bce_dice_loss(logits, target)
        drawn[0] += 1
        is_culprit = (target.mean((1, 2, 3)) > 0.6).any() and drawn[0] > HEADS * 3
        return value * float("nan") if is_culprit else value

    monkeypatch.setitem(LOSSES, "bce-dice", loss)
    with pytest.raises(
        RtpolypError, match=r"step \d+: loss nan .*train4\.jpg.*nothing was saved yet$"
    ) as error:
        run(source, out, recipe=recipe)
    assert "\n" not in str(error.value)
    assert not (out / "last.pt").exists()

    drawn[0] = 0
    with pytest.raises(RtpolypError, match=r"train4\.jpg.*last\.pt holds the last good weights$"):
        run(source, out, recipe=recipe, save_minutes=0)
    good = load_checkpoint(out / "last.pt")
    assert good.step >= 3
    assert all(tensor.isfinite().all() for tensor in (*good.model.values(), *good.ema.values()))


def test_a_gradient_that_is_no_number_stops_before_its_weights_are_saved(source, tmp_path, monkeypatch):
    """The loss of that step is still finite; its weights are not."""
    calls = 0

    def loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        spoiled = torch.sqrt(0 * logits.sum()) if calls == HEADS * 3 else 0  # 0, with slope 0 · ∞
        return bce_dice_loss(logits, target) + spoiled

    monkeypatch.setitem(LOSSES, "bce-dice", loss)
    with pytest.raises(RtpolypError, match=r"step 3: loss [\d.]+ with a gradient norm of nan"):
        run(source, tmp_path / "run", save_minutes=0)
    good = load_checkpoint(tmp_path / "run" / "last.pt")
    assert good.step == 2
    assert all(tensor.isfinite().all() for tensor in good.model.values())
