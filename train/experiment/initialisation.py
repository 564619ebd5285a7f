"""Weights to begin with that two networks share wherever they share a layer."""

import hashlib

import torch
from torch import nn

__all__ = ["draw_by_name"]


def draw_by_name(network: nn.Module, seed: int) -> None:
    """Draw the weights of every layer outside `network.encoder` anew, from the seed and the layer's name.

    By PyTorch's own distributions (`reset_parameters`). So two networks begin alike in every layer that has
    one name and one shape in both, whatever was built before it; one generator for the whole network would
    give them nothing in common behind the first layer that one of them lacks. Encoders are built first, so
    they are alike already, or have ImageNet weights. The global generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        for name, layer in network.named_modules():
            if name.split(".")[0] != "encoder" and hasattr(layer, "reset_parameters"):
                digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
                torch.manual_seed(int.from_bytes(digest[:8], "big") >> 1)
                layer.reset_parameters()
