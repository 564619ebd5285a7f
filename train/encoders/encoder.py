"""Encoder: what networks know of a backbone."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from torch import nn

__all__ = ["Encoder", "encoder_of"]


class Encoder(nn.Module):
    """Features of a normalised image at several strides, finest first.

    `forward` takes `images: (N, 3, H, W) float32` and returns a list of `(N, C, H/s, W/s)` for the widths C
    in `out_channels` and s in `strides`.
    """

    out_channels: Sequence[int]
    strides: Sequence[int]
    mean: Sequence[float]  # of RGB in 0–255, by which images are normalised
    std: Sequence[float]

    def load_imagenet(self, path: Path | None = None) -> None:
        """Load ImageNet weights, by default those that a package installs; raises InputError."""
        raise NotImplementedError


def encoder_of(network: nn.Module) -> Encoder:
    """A network's encoder."""
    return cast(Encoder, network.encoder)
