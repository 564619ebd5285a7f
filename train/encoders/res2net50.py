"""Res2Net50-v1b-26w-4s, the encoder of PraNet.

Gao et al., "Res2Net: A New Multi-scale Backbone Architecture", TPAMI 2021 (arXiv:1904.01169); v1b has the
stem of three 3×3 convolutions and average pooling in the shortcuts. Parameter names are those of the
published checkpoint, so that it loads.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from train.encoders.encoder import Encoder
from train.encoders.weights import load_published

__all__ = ["Res2Net50"]

REPEATS = (3, 4, 6, 3)  # blocks of each stage
SCALE = 4  # groups of channels in a block: "4s"
BASE_WIDTH = 26  # channels of a group where the stage has 64: "26w"
EXPANSION = 4
CLASSIFIER_KEYS = ("fc.",)


class Bottle2neck(nn.Module):
    """A residual block whose 3×3 is a cascade: each group of channels also sees what came out of the last.

    The first block of a stage (`shortcut` given) runs its groups in parallel and pools the last, since the
    groups may change size there.
    """

    def __init__(self, in_channels: int, planes: int, stride: int, shortcut: nn.Module | None):
        super().__init__()
        self.width = planes * BASE_WIDTH // 64
        self.conv1 = nn.Conv2d(in_channels, self.width * SCALE, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(self.width * SCALE)
        self.convs = nn.ModuleList(
            nn.Conv2d(self.width, self.width, 3, stride, padding=1, bias=False) for _ in range(SCALE - 1)
        )
        self.bns = nn.ModuleList(nn.BatchNorm2d(self.width) for _ in range(SCALE - 1))
        self.conv3 = nn.Conv2d(self.width * SCALE, planes * EXPANSION, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * EXPANSION)
        self.downsample = shortcut
        self.pool = nn.AvgPool2d(3, stride, padding=1) if shortcut is not None else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in, H, W) → (N, 4 · planes, H / stride, W / stride)."""
        *groups, last = F.relu(self.bn1(self.conv1(x))).split(self.width, dim=1)
        parts: list[torch.Tensor] = []
        for group, conv, bn in zip(groups, self.convs, self.bns, strict=True):
            if parts and self.pool is None:
                group = group + parts[-1]
            parts.append(F.relu(bn(conv(group))))
        parts.append(last if self.pool is None else self.pool(last))
        # the published code concatenates after every group, and copies each of them up to three times
        out = self.bn3(self.conv3(torch.cat(parts, dim=1)))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


def stage(in_channels: int, planes: int, repeats: int, stride: int) -> nn.Sequential:
    """`repeats` blocks of 4 · `planes` channels; the first has the stride and a pooled 1×1 shortcut."""
    channels = planes * EXPANSION
    shortcut = nn.Sequential(
        nn.AvgPool2d(stride, stride),
        nn.Conv2d(in_channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    )
    first = Bottle2neck(in_channels, planes, stride, shortcut)
    return nn.Sequential(first, *(Bottle2neck(channels, planes, 1, None) for _ in range(repeats - 1)))


class Res2Net50(Encoder):
    """The feature part of Res2Net50-v1b-26w-4s; the classifier is left out."""

    out_channels: Sequence[int] = (256, 512, 1024, 2048)
    strides: Sequence[int] = (4, 8, 16, 32)
    mean: Sequence[float] = (123.675, 116.28, 103.53)
    std: Sequence[float] = (58.395, 57.12, 57.375)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, 1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 32, 3, 1, 1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 64, 3, 1, 1, bias=False),
        )
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = stage(64, 64, REPEATS[0], stride=1)
        self.layer2 = stage(256, 128, REPEATS[1], stride=2)
        self.layer3 = stage(512, 256, REPEATS[2], stride=2)
        self.layer4 = stage(1024, 512, REPEATS[3], stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """`images: (N, 3, H, W)`, sides multiples of 32 → features (N, C, H/s, W/s) for s in `strides`."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(images))), 3, stride=2, padding=1)
        features = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            features.append(x)
        return features

    def load_imagenet(self, path: Path | None = None) -> None:
        """Load the published `res2net50_v1b_26w_4s-….pth`; its classifier is left out.

        Raises InputError where the file is not given, not there, or a key does not fit.
        """
        load_published(self, path, "res2net50", ignored=CLASSIFIER_KEYS)
