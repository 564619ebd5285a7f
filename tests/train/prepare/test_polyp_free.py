"""Frames without a polyp alone: no masks, a split of their own, and each part with some of them."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.measure.dataset import load_pairs
from tests.train.prepare.clinic import SIZE, write, write_clinic
from tests.train.prepare.test_prepare import THIRDS, write_patients
from train.command_line import run_command_line
from train.data import load_frames, parse_source
from train.prepare import Options, prepare
from train.prepare.__main__ import app

PARTS = ("train", "val", "test")


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    return write_clinic(tmp_path / "clinic", polyp_free=3)


def test_frames_without_a_polyp_need_no_masks(tmp_path, capsys):
    folder = write_clinic(tmp_path / "normal")
    shutil.rmtree(folder / "masks")
    write_patients(folder, {f"p{i:02}.png": f"patient {i // 2}" for i in range(12)})
    out = tmp_path / "out"
    command = [str(folder), "-o", str(out), "--val", "0.3", "--test", "0.3"]
    assert run_command_line(app, command) == 2
    assert "--polyp-free where no image shows a polyp" in capsys.readouterr().err
    assert run_command_line(app, [*command, "--polyp-free"]) == 0
    told = capsys.readouterr().out
    assert "12 images: 0 with a polyp, 12 without" in told
    assert "warning" not in told
    assert told.splitlines()[-1] == f"give it to train.second_look with --data {out}:own-negatives"
    source = parse_source(str(out))
    assert source.is_polyp_free
    groups = {part: {pair.group for pair in load_pairs(out, f"own-negatives_{part}")} for part in PARTS}
    assert all(groups.values())
    assert len(set.union(*groups.values())) == sum(map(len, groups.values())) == 6
    assert not load_frames([source], "train", 64).masks.any()


def test_a_polyp_among_frames_without_one_is_named(clinic, tmp_path):
    kept = sorted((clinic / "masks").iterdir())[8:]  # of the last polyp, and of the three frames without one
    for path in sorted((clinic / "masks").iterdir())[:8]:
        path.unlink()
    with pytest.raises(
        InputError, match=r"corrected \(1\):\n  images/p08\.png: its annotation shows a polyp"
    ):
        prepare(clinic, tmp_path / "out", Options(0.3, 0.3, polyp_free=True))
    kept[0].unlink()
    assert prepare(clinic, tmp_path / "out", Options(0.3, 0.3, polyp_free=True)).masks == {
        "none": 9,
        "empty": 3,
    }


def test_frames_without_a_polyp_are_no_public_data_set_and_fill_each_part(clinic, tmp_path):
    with pytest.raises(InputError, match="polyp-free and the data set kvasir-seg: its archive says"):
        Options(polyp_free=True, dataset="kvasir-seg")
    for path in (clinic / "masks").iterdir():
        write(path, np.zeros(SIZE[::-1], np.uint8))
    with pytest.raises(InputError, match=r"0 groups show one, .*; --polyp-free is for images that show none"):
        prepare(clinic, tmp_path / "out", THIRDS)
    write_patients(clinic, {f"p{i:02}.png": f"patient {i // 6}" for i in range(12)})
    with pytest.raises(InputError, match="the test part would be without a frame: 2 groups show one"):
        prepare(clinic, tmp_path / "out", Options(0.3, 0.3, polyp_free=True))
