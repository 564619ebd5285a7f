"""The encoders that are part of a network's own design, and so have no weights from elsewhere."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from train.encoders.encoder import Encoder

__all__ = ["OWN", "ContractingPath", "OwnEncoder", "double_conv"]

OWN = "own"  # what NetworkSpec.encoder says of these networks


class OwnEncoder(Encoder):
    """Base of the encoders that only their network can use.

    They publish what every encoder does, `out_channels` and `strides` from the finest stage on, and the
    normalisation. It is ImageNet's, so that networks are compared on the same input, although nothing here
    was trained on ImageNet.
    """

    mean: Sequence[float] = (123.675, 116.28, 103.53)
    std: Sequence[float] = (58.395, 57.12, 57.375)


def double_conv(in_channels: int, out_channels: int, bias: bool) -> nn.Sequential:
    """Twice: 3×3 convolution, batch norm, ReLU. The norm's shift makes a bias of the convolution idle."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=bias),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


class ContractingPath(OwnEncoder):
    """U-Net's: double convolutions with a max pooling before each but the first."""

    def __init__(self, channels: Sequence[int], bias: bool):
        super().__init__()
        self.out_channels = tuple(channels)
        self.strides = tuple(2**index for index in range(len(channels)))
        self.stages = nn.ModuleList(
            double_conv(before, after, bias) for before, after in zip((3, *channels), channels, strict=False)
        )

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """`images: (N, 3, H, W)`, sides multiples of the last stride → features (N, C, H/s, W/s)."""
        features = [self.stages[0](images)]
        for stage in self.stages[1:]:
            features.append(stage(F.max_pool2d(features[-1], 2)))
        return features
