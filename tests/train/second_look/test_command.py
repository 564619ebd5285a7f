"""`python -m train.second_look` as a user meets it."""

import re
from dataclasses import replace

import pytest

from rtpolyp.spec import sha256_of
from train.checkpoint import load_checkpoint, load_network, save_checkpoint
from train.command_line import run_command_line
from train.data import TrainingFile
from train.initial import load_initial
from train.second_look.__main__ import app


def test_the_command_writes_a_checkpoint_that_has_seen_the_frames(checkpoint, clinic, free, tmp_path, capsys):
    base = load_checkpoint(checkpoint)
    known = TrainingFile("free:negatives", "train1.jpg", sha256_of(free / "images" / "train1.jpg"))
    save_checkpoint(checkpoint, replace(base, files=(*base.files, known)))
    out = tmp_path / "looked.pt"
    data = ["--data", f"{clinic}:half", "--data", f"{free}:negatives"]
    assert run_command_line(app, [str(checkpoint), *data, "--size", "64", "-o", str(out)]) == 0
    assert re.search(
        r" outlines on six views of the validation frames, \d+ of polyps, and [1-9]\d* on train frames "
        "without a polyp that are new",
        capsys.readouterr().out,
    )
    looked = load_checkpoint(out)
    assert load_network(looked).second_look is not None
    assert looked.second_look is not None
    assert looked.second_look["size"] == 64
    assert set(looked.second_look["point"]) == {"threshold", "minimum_area", "minimum_confidence"}
    assert {(file.source, file.name) for file in looked.looked_at} == {
        *(("clinic:half", f"val{n}.jpg") for n in range(24)),
        ("free:negatives", "val0.jpg"),
        ("free:negatives", "train0.jpg"),  # train1 it had seen
        ("free:negatives", "train2.jpg"),
    }
    assert set(looked.looked_at) <= set(looked.seen)
    again = load_initial(str(out))  # what goes on from it begins without
    assert again.ema.keys() == base.ema.keys()
    assert set(again.seen) == {*base.seen, known}


def test_other_networks_have_none(redness_checkpoint, mini_source, tmp_path, capsys):
    data = f"{mini_source.folder}:{mini_source.split}"
    assert run_command_line(app, [str(redness_checkpoint), "--data", data, "-o", str(tmp_path / "x.pt")]) == 2
    assert "redness has no second look. Give a checkpoint of pranet-if" in capsys.readouterr().err


def test_beside_another_network_it_looks_at_what_both_outline(checkpoint, clinic, free, tmp_path):
    """Frames that the other alone knows stay new to the first, whose features the second look reads."""
    base = load_checkpoint(checkpoint)
    known = TrainingFile("free:negatives", "train1.jpg", sha256_of(free / "images" / "train1.jpg"))
    other, out = tmp_path / "other.pt", tmp_path / "both.pt"
    save_checkpoint(other, replace(base, files=(known,)))
    data = ["--data", f"{clinic}:half", "--data", f"{free}:negatives", "--beside", str(other)]
    assert run_command_line(app, [str(checkpoint), *data, "--size", "64", "-o", str(out)]) == 0
    both = load_checkpoint(out)
    assert both.spec.encoder == "tiny+tiny"
    assert load_network(both).second_look is not None
    assert "train1.jpg" in {file.name for file in both.looked_at}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--size", "0"], "--size 0: not a multiple of 32. Give e.g. 256 or 288"),
        (["--size", "100"], "--size 100: not a multiple of 32"),
        (["--beside", "{}"], "is the first checkpoint itself. Give another one"),
    ],
)
def test_what_cannot_work_is_one_line(checkpoint, clinic, tmp_path, capsys, options, line):
    given = [option.format(checkpoint) for option in options]
    command = [str(checkpoint), "--data", f"{clinic}:half", "-o", str(tmp_path / "looked.pt"), *given]
    assert run_command_line(app, command) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1
