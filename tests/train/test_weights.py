from pathlib import Path

import pytest
import torch

from rtpolyp.errors import InputError
from train.checkpoint import load_checkpoint
from train.weights import load_weights, save_weights


def test_comes_back_rounded_to_half_and_trainable(redness_checkpoint: Path, tmp_path: Path):
    checkpoint = load_checkpoint(redness_checkpoint)
    save_weights(checkpoint, tmp_path / "weights.pt")
    network = load_weights(tmp_path / "weights.pt")
    for name, tensor in network.state_dict().items():
        original = checkpoint.ema[name]
        assert tensor.dtype == original.dtype
        expected = original.half().float() if original.ndim > 1 else original
        assert torch.equal(tensor, expected)
    network.train()(torch.randn(2, 3, 32, 32)).sum().backward()
    assert network.stem.weight.grad.abs().sum() > 0


def test_stores_matrices_in_half_the_bytes(redness_checkpoint: Path, tmp_path: Path):
    save_weights(load_checkpoint(redness_checkpoint), tmp_path / "weights.pt")
    state = torch.load(tmp_path / "weights.pt", weights_only=True)["state"]
    assert {tensor.dtype for tensor in state.values() if tensor.ndim > 1} == {torch.float16}
    assert state["norm.running_var"].dtype == torch.float32


@pytest.mark.parametrize("content", [None, b"", b"not weights"])
def test_a_file_that_is_none_fails(tmp_path: Path, content: bytes | None):
    path = tmp_path / "weights.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"weights\.pt: not a bundle's weights"):
        load_weights(path)


def test_another_format_fails(redness_checkpoint: Path, tmp_path: Path):
    path = tmp_path / "weights.pt"
    save_weights(load_checkpoint(redness_checkpoint), path)
    torch.save({**torch.load(path, weights_only=True), "format": 99}, path)
    with pytest.raises(InputError, match=r"weights\.pt: weights format 99"):
        load_weights(path)
