"""The mean of several checkpoints: weights, what it has seen, scores, refusals."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rtpolyp.errors import InputError
from train.average import app, mean_of
from train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from train.command_line import run_command_line
from train.data import Source, TrainingFile
from train.initial import as_deep_as
from train.networks import NetworkSpec, create_network


@pytest.fixture
def member(redness_checkpoint: Path) -> Checkpoint:
    return load_checkpoint(redness_checkpoint)


def times(member: Checkpoint, factor: float) -> Checkpoint:
    ema = {name: value * factor if value.is_floating_point() else value for name, value in member.ema.items()}
    return replace(member, ema=ema)


def test_each_weight_is_the_mean(member: Checkpoint):
    mean = mean_of({"a": member, "b": times(member, 2), "c": times(member, 3)})
    for name, value in times(member, 2).ema.items():
        torch.testing.assert_close(mean.ema[name], value)
    assert mean.averaged == ("a", "b", "c")


def test_it_has_seen_what_any_member_has(member: Checkpoint):
    other = TrainingFile("elsewhere", "frame.png", "0" * 64)
    mean = mean_of({"a": member, "b": replace(member, earlier=(other,))})
    assert set(mean.seen) == {*member.files, other}
    assert mean.files == member.files


def test_a_shallower_member_is_deepened_to_the_first(member: Checkpoint):
    """The blocks that only the first has go on with half of what they add."""
    shallow, deep = NetworkSpec("pranet-if"), NetworkSpec("pranet-if", "efficientnet-lite1")
    torch.manual_seed(0)
    one = replace(member, spec=shallow, ema=create_network(shallow, pretrained=False).state_dict())
    first = replace(member, spec=deep, ema=create_network(deep, pretrained=False).state_dict())
    mean = mean_of({"first": first, "one": as_deep_as(first, one)}).ema
    added = "encoder._blocks.3."  # the second stage has one block more
    for name in ("_depthwise_conv.weight", "_bn2.running_var"):
        assert torch.equal(mean[added + name], first.ema[added + name])
    assert torch.equal(mean[added + "_bn2.weight"], first.ema[added + "_bn2.weight"] / 2)
    stem = "encoder._conv_stem.weight"
    torch.testing.assert_close(mean[stem], (first.ema[stem] + one.ema[stem]) / 2)
    assert as_deep_as(one, one) is one


def test_the_command_scores_each_and_writes_the_mean(
    redness_checkpoint: Path, member: Checkpoint, mini_source: Source, tmp_path: Path, capsys
):
    blind = tmp_path / "blind.pt"
    save_checkpoint(blind, times(member, 0.0))
    out = tmp_path / "mean.pt"
    names = [str(redness_checkpoint), str(blind)]
    data = f"{mini_source.folder}:{mini_source.split}"
    assert run_command_line(app, [*names, "--data", data, "--size", "64", "-o", str(out)]) == 0
    printed = capsys.readouterr().out.splitlines()
    dice = [float(line.split(": Dice ")[1].split()[0]) for line in printed]
    assert [line.split(":")[0] for line in printed] == [names[0], names[1], "mean"]
    assert dice[0] > dice[1]
    written = load_checkpoint(out)
    assert written.best_dice == pytest.approx(dice[2], abs=1e-4)
    assert written.averaged == tuple(names)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["a.pt", "b.pt", "--size", "100"], "--size 100: not a multiple of 32. Give e.g. 256 or 288"),
        (["a.pt", "b.pt"], "a.pt: no such checkpoint. Train one with python -m train"),
        ([], "CHECKPOINT"),
    ],
)
def test_a_users_error_is_one_line(arguments, line, tmp_path: Path, capsys):
    tokens = [*arguments, "--data", str(tmp_path), "-o", str(tmp_path / "mean.pt")]
    assert run_command_line(app, tokens) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1


def test_other_networks_and_a_single_one_are_refused(member: Checkpoint):
    with pytest.raises(InputError, match=r"^b: unet on .*Average runs of one network"):
        mean_of({"a": member, "b": replace(member, spec=NetworkSpec("unet"))})
    with pytest.raises(InputError, match="one checkpoint has no mean"):
        mean_of({"a": member})


def test_a_checkpoint_that_is_given_twice_is_refused(redness_checkpoint: Path, tmp_path: Path, capsys):
    twice = [str(redness_checkpoint)] * 2
    assert run_command_line(app, [*twice, "--data", "x", "-o", str(tmp_path / "mean.pt")]) == 2
    assert "a checkpoint is given twice and would count once" in capsys.readouterr().err
