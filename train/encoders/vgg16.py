"""VGG16, the encoder of FCN: thirteen 3×3 convolutions and five poolings, without batch norm.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015
(arXiv:1409.1556). Parameter names are torchvision's `features.N`, so that its state dict loads.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import nn

from train.encoders.encoder import Encoder
from train.encoders.weights import load_published

__all__ = ["VGG16"]

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels and convolutions before each pooling
CLASSIFIER_KEYS = ("classifier.",)


class VGG16(Encoder):
    """The feature part of VGG16; its features are the outputs of pool2 … pool5."""

    out_channels: Sequence[int] = (128, 256, 512, 512)
    strides: Sequence[int] = (4, 8, 16, 32)
    mean: Sequence[float] = (123.675, 116.28, 103.53)
    std: Sequence[float] = (58.395, 57.12, 57.375)

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        pools: list[int] = []
        in_channels = 3
        for channels, convolutions in STAGES:
            for _ in range(convolutions):
                layers += [nn.Conv2d(in_channels, channels, 3, padding=1), nn.ReLU(inplace=True)]
                in_channels = channels
            pools.append(len(layers))
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.taps = pools[1:]
        for module in self.features:
            if isinstance(module, nn.Conv2d):  # without batch norm, PyTorch's default fades over 13 layers
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(cast(torch.Tensor, module.bias))

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """`images: (N, 3, H, W)`, sides multiples of 32 → features (N, C, H/s, W/s) for s in `strides`."""
        x = images
        features = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.taps:
                features.append(x)
        return features

    def load_imagenet(self, path: Path | None = None) -> None:
        """Load torchvision's `vgg16-….pth`; its classifier is left out.

        Raises InputError where the file is not given, not there, or a key does not fit.
        """
        load_published(self, path, "vgg16", ignored=CLASSIFIER_KEYS)
