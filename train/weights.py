"""The weights that a bundle carries for fine-tuning: unfolded, in half the bytes."""

import pickle
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from rtpolyp.errors import InputError
from train.checkpoint import Checkpoint
from train.data import TrainingFile
from train.networks import NetworkSpec, create_network

__all__ = ["Weights", "load_weights", "save_weights"]

FORMAT = 2


class Weights(NamedTuple):
    """A trained network and every file that its weights come from."""

    spec: NetworkSpec
    state: dict[str, torch.Tensor]
    files: tuple[TrainingFile, ...]

    def network(self) -> nn.Module:
        """The network in FP32, in evaluation mode, ready to be trained on."""
        network = create_network(self.spec, pretrained=False)
        network.load_state_dict(self.state)
        return network.eval()


def save_weights(checkpoint: Checkpoint, path: Path) -> None:
    """Write the averaged weights: convolutions as FP16; norms, whose variances exceed its range, as FP32."""
    state = {
        name: tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor
        for name, tensor in checkpoint.ema.items()
    }
    files = [tuple(vars(file).values()) for file in (*checkpoint.files, *checkpoint.earlier)]
    torch.save({"format": FORMAT, "spec": asdict(checkpoint.spec), "state": state, "files": files}, path)


def load_weights(path: Path) -> Weights:
    """Read a bundle's `weights.pt`. Raises InputError for a missing, broken or foreign file."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content["format"] != FORMAT:
            raise InputError(f"{path}: weights format {content['format']}, this version reads {FORMAT}")
        files = tuple(TrainingFile(*file) for file in content["files"])
        weights = Weights(NetworkSpec(**content["spec"]), content["state"], files)
        weights.network()  # names and shapes fit, or it raises
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError) as exc:
        raise InputError(f"{path}: not a bundle's weights ({exc}); give weights.pt of a bundle") from exc
    return weights
