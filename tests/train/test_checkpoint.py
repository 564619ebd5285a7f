"""Checkpoints: what comes back, what is refused, and what a full disk leaves."""

import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rtpolyp.errors import InputError, OutputError
from tests.train import tiny_encoder
from train.checkpoint import FORMAT, Checkpoint, load_checkpoint, load_network, save_checkpoint
from train.data import TrainingFile
from train.networks import NetworkSpec, create_network
from train.optimisation import Numerics
from train.recipe import Recipe

FULL_DISK = Path("/dev/full")


@pytest.fixture
def checkpoint(monkeypatch) -> Checkpoint:
    tiny_encoder.register(monkeypatch)
    torch.manual_seed(0)
    spec = NetworkSpec("pranet-if", "tiny")
    network = create_network(spec, pretrained=False)
    return Checkpoint(
        spec,
        Recipe(steps=5, sizes=((64, 1.0),)),
        Numerics(channels_last=True, bfloat16=False),
        3,
        network.state_dict(),
        (127.0,) * 3,
        (64.0,) * 3,
        files=(TrainingFile("clinic:half", "a.jpg", "00ff"),),
        earlier=(TrainingFile("other:half", "b.jpg", "11ee"), TrainingFile("clinic:half", "a.jpg", "00ff")),
        best_dice=0.5,
        stale=2,
        lr_scale=0.1,
        scaler={"scale": 1024.0},
    )


def test_what_is_saved_comes_back(checkpoint, tmp_path):
    save_checkpoint(tmp_path / "best.pt", checkpoint)
    loaded = load_checkpoint(tmp_path / "best.pt")
    assert loaded.ema.keys() == checkpoint.ema.keys()
    assert all(torch.equal(loaded.ema[key], checkpoint.ema[key]) for key in loaded.ema)
    assert replace(loaded, ema={}) == replace(checkpoint, ema={})
    network = load_network(loaded)
    assert not network.training
    assert torch.equal(network.state_dict()["encoder.stem.weight"], checkpoint.ema["encoder.stem.weight"])


def test_saving_replaces_the_old_file_and_leaves_nothing_beside_it(checkpoint, tmp_path):
    (tmp_path / "last.pt.partial").write_bytes(b"left by a killed run")
    save_checkpoint(tmp_path / "last.pt", checkpoint)
    save_checkpoint(tmp_path / "last.pt", replace(checkpoint, step=4))
    assert load_checkpoint(tmp_path / "last.pt").step == 4
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.skipif(not FULL_DISK.exists(), reason="needs /dev/full")
def test_a_full_disk_fails_and_keeps_the_old_file(checkpoint, tmp_path):
    save_checkpoint(tmp_path / "last.pt", checkpoint)
    (tmp_path / "last.pt.partial").symlink_to(FULL_DISK)
    with pytest.raises(
        OutputError, match=r"last\.pt: cannot be written \(No space left on device\)\. Free space"
    ) as caught:
        save_checkpoint(tmp_path / "last.pt", replace(checkpoint, step=4))
    assert "\n" not in str(caught.value)
    assert load_checkpoint(tmp_path / "last.pt").step == 3
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_a_missing_folder_fails(checkpoint, tmp_path):
    with pytest.raises(OutputError, match=r"nowhere/last\.pt: cannot be written"):
        save_checkpoint(tmp_path / "nowhere" / "last.pt", checkpoint)


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("not a checkpoint"),
        write_zip,
        lambda path: torch.save([1, 2], path),
        lambda path: torch.save({"state_dict": {}}, path),
        lambda path: torch.save({"format": FORMAT, "spec": {}}, path),
        lambda path: torch.save(torch.nn.Linear(2, 2), path),  # code, which is never run
    ],
    ids=["empty", "text", "zip", "list", "foreign", "incomplete", "module"],
)
def test_a_foreign_file_fails_in_one_line(write, tmp_path):
    path = tmp_path / "foreign.pt"
    write(path)
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: not a checkpoint") as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_half_a_checkpoint_fails(checkpoint, tmp_path):
    path = tmp_path / "last.pt"
    save_checkpoint(path, checkpoint)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="not a checkpoint that this version can read"):
        load_checkpoint(path)


def test_another_format_fails_naming_both(tmp_path):
    torch.save({"format": 99}, tmp_path / "last.pt")
    with pytest.raises(
        InputError, match=rf"checkpoint format 99, this version reads {FORMAT}\. Train or export"
    ):
        load_checkpoint(tmp_path / "last.pt")


def test_a_checkpoint_of_before_there_was_patience_is_read(checkpoint, tmp_path):
    save_checkpoint(tmp_path / "last.pt", checkpoint)
    content = torch.load(tmp_path / "last.pt", weights_only=True)
    for name in ("stale", "lr_scale", "scaler"):
        del content[name]
    torch.save(content, tmp_path / "last.pt")
    loaded = load_checkpoint(tmp_path / "last.pt")
    assert (loaded.stale, loaded.lr_scale, loaded.scaler) == (0, 1.0, None)


def test_what_was_seen_names_every_file_once(checkpoint):
    assert [file.sha256 for file in checkpoint.seen] == ["00ff", "11ee"]


def test_a_missing_file_fails(tmp_path):
    with pytest.raises(InputError, match=r"last\.pt: no such checkpoint. Train one with python -m train"):
        load_checkpoint(tmp_path / "last.pt")


def test_the_folder_of_a_run_is_told_its_best_checkpoint(tmp_path):
    (tmp_path / "best.pt").write_bytes(b"")
    with pytest.raises(InputError, match=rf"{tmp_path}: no such checkpoint. Give {tmp_path / 'best.pt'}"):
        load_checkpoint(tmp_path)
