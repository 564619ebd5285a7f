"""The authors' recipes in a run: chosen by name, counted in epochs, resumed between two scales of a batch."""

import signal
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from tests.train import tiny_encoder
from tests.train.polyps import write_polyps
from train.__main__ import app
from train.checkpoint import load_checkpoint
from train.command_line import run_command_line
from train.data import parse_source
from train.loop import Options, fit
from train.losses import LOSSES, structure_loss
from train.networks import NetworkSpec
from train.optimisation import Numerics
from train.recipe import OPTIMISERS, recipe_for

SPEC = NetworkSpec("pranet-if", "tiny")
HEADS = 2  # of pranet-if: the loss is called as often in each step
SMALL = {"batch": 2, "sizes": ((64, 1.0),), "scales": (0.5, 1.0)}


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    tiny_encoder.register(monkeypatch)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    return f"{write_polyps(tmp_path_factory.mktemp('data') / 'clinic')}:half"


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_run_cut_off_between_two_scales_ends_in_the_same_weights(optimiser, data, tmp_path, monkeypatch):
    recipe = recipe_for("pranet-if", "author").changed(
        steps=5, optimiser=optimiser, schedule="cosine", validate_every=4, **SMALL
    )

    def run(out: Path, **options: bool) -> None:
        fit(
            SPEC,
            recipe,
            [parse_source(data)],
            out,
            Options(pretrained=False, numerics=Numerics(True, False), **options),
        )

    run(tmp_path / "whole")
    calls = 0

    def loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == HEADS * 3:
            signal.raise_signal(signal.SIGTERM)
        return structure_loss(logits, target)

    monkeypatch.setitem(LOSSES, "structure", loss)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut")
    assert load_checkpoint(tmp_path / "cut" / "last.pt").step == 3
    run(tmp_path / "cut", resume=True)

    whole, cut = (load_checkpoint(tmp_path / name / "last.pt") for name in ("whole", "cut"))
    assert (whole.step, whole.best_dice) == (cut.step, cut.best_dice)
    for one, other in ((whole.model, cut.model), (whole.ema, cut.ema)):
        assert all(torch.equal(one[key], other[key]) for key in one)
    moments, others = whole.optimiser["state"], cut.optimiser["state"]
    assert moments.keys() == others.keys()
    assert all(torch.equal(moments[i][key], others[i][key]) for i in moments for key in moments[i])


def command(net: str, data: str, out: Path, *options: str) -> list[str]:
    small = ["--batch", "2", "--sizes", "64", "1", "--scales", "0.5", "1"]
    chosen = ["--net", net, "--encoder", "tiny", "--random-init", "--data", data, "-o", str(out)]
    return [*chosen, *small, *options]


def test_an_authors_recipe_is_chosen_by_name_and_its_epochs_are_counted_in_steps(data, tmp_path):
    out = tmp_path / "run"
    assert run_command_line(app, command("pranet-if", data, out, "--recipe", "author", "--epochs", "1")) == 0
    found = load_checkpoint(out / "last.pt")
    assert found.step == 3 * 2  # 6 frames in batches of 2, each at two scales
    expected = recipe_for("pranet", "author").changed(steps=6, **SMALL)
    assert asdict(found.recipe) == asdict(expected)
    assert {group["lr"] for group in found.optimiser["param_groups"]} == {1e-4}


def test_every_field_of_an_authors_recipe_can_be_overridden(data, tmp_path):
    out = tmp_path / "run"
    options = ("--steps", "2", "--optimiser", "adam", "--loss", "dice", "--flip", "0")
    assert run_command_line(app, command("fcn", data, out, "--recipe", "author", *options)) == 0
    changes = {"optimiser": "adam", "loss": "dice", "flip": 0, **SMALL}
    assert load_checkpoint(out / "last.pt").recipe == recipe_for("fcn", "author").changed(steps=2, **changes)


def test_an_unknown_recipe_is_one_line_and_exit_code_2(data, tmp_path, capsys):
    assert run_command_line(app, command("pranet-if", data, tmp_path / "run", "--recipe", "mine")) == 2
    assert capsys.readouterr().err == "rtpolyp: --recipe 'mine' is unknown; there are: ours, author\n"
