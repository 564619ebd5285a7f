"""The weights that a bundle carries for fine-tuning: unfolded, in half the bytes."""

import pickle
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from rtpolyp.errors import InputError
from train.checkpoint import Checkpoint
from train.networks import NetworkSpec, create_network

__all__ = ["load_weights", "save_weights"]

FORMAT = 1


def save_weights(checkpoint: Checkpoint, path: Path) -> None:
    """Write the averaged weights: convolutions as FP16; norms, whose variances exceed its range, as FP32."""
    state = {
        name: tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor
        for name, tensor in checkpoint.ema.items()
    }
    torch.save({"format": FORMAT, "spec": asdict(checkpoint.spec), "state": state}, path)


def load_weights(path: Path) -> nn.Module:
    """The network of a bundle's `weights.pt` in FP32, in evaluation mode, ready to be trained on.

    Raises InputError for a missing, broken or foreign file.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content["format"] != FORMAT:
            raise InputError(f"{path}: weights format {content['format']}, this version reads {FORMAT}")
        network = create_network(NetworkSpec(**content["spec"]), pretrained=False)
        network.load_state_dict(content["state"])
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError) as exc:
        raise InputError(f"{path}: not a bundle's weights ({exc}); give weights.pt of a bundle") from exc
    return network.eval()
