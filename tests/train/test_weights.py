from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rtpolyp.errors import OutputError
from train.checkpoint import load_checkpoint, load_network
from train.data import TrainingFile
from train.weights import save_weights


def test_comes_back_rounded_to_half_and_trainable(redness_checkpoint: Path, tmp_path: Path):
    checkpoint = load_checkpoint(redness_checkpoint)
    save_weights(checkpoint, tmp_path / "weights.pt")
    network = load_network(load_checkpoint(tmp_path / "weights.pt"))
    for name, tensor in network.state_dict().items():
        original = checkpoint.ema[name]
        assert tensor.dtype == original.dtype
        expected = original.half().float() if original.ndim > 1 else original
        assert torch.equal(tensor, expected)
    network.train()(torch.randn(2, 3, 32, 32)).sum().backward()
    assert network.stem.weight.grad.abs().sum() > 0


def test_stores_matrices_in_half_the_bytes_and_nothing_that_resumes(redness_checkpoint: Path, tmp_path: Path):
    checkpoint = load_checkpoint(redness_checkpoint)
    resumable = replace(checkpoint, model=checkpoint.ema, optimiser={"state": {}}, scaler={})
    save_weights(resumable, tmp_path / "weights.pt")
    saved = load_checkpoint(tmp_path / "weights.pt")
    assert {tensor.dtype for tensor in saved.ema.values() if tensor.ndim > 1} == {torch.float16}
    assert saved.ema["norm.running_var"].dtype == torch.float32
    assert replace(saved, ema={}) == replace(checkpoint, ema={})


def test_a_folder_that_is_missing_fails(redness_checkpoint: Path, tmp_path: Path):
    with pytest.raises(OutputError, match=r"nowhere/weights\.pt: cannot be written"):
        save_weights(load_checkpoint(redness_checkpoint), tmp_path / "nowhere" / "weights.pt")


def test_a_file_seen_twice_is_named_once(redness_checkpoint, tmp_path):
    checkpoint = load_checkpoint(redness_checkpoint)
    other = TrainingFile("elsewhere", "a.png", "0" * 64)
    tuned = replace(checkpoint, earlier=(*checkpoint.files, other))
    save_weights(tuned, tmp_path / "weights.pt")
    found = load_checkpoint(tmp_path / "weights.pt")
    assert (found.files, found.earlier, found.seen) == (checkpoint.files, (other,), tuned.seen)
