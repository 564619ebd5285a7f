"""MobileNetV2-1.0 from weights whose batch norm is already folded into the convolutions.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018 (arXiv:1801.04381).

The convolutions keep their bias and no batch norm is added: a fresh one would be an identity in evaluation
only, and in training would replace the folded scale and shift by the batch's own, which throws the ImageNet
features away. Without it the network is the same function in training, evaluation and export.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rtpolyp.errors import InputError
from train.encoders.encoder import Encoder
from train.encoders.weights import load_named_state

__all__ = ["MobileNetV2"]


class Stage(NamedTuple):
    """A run of inverted residuals; the stride is the first one's."""

    repeats: int
    stride: int
    expand: int
    channels: int


STAGES = (
    Stage(1, 1, 1, 16),
    Stage(2, 2, 6, 24),
    Stage(3, 2, 6, 32),
    Stage(4, 2, 6, 64),
    Stage(3, 1, 6, 96),
    Stage(3, 2, 6, 160),
    Stage(1, 1, 6, 320),
)
TAPPED_STAGES = (1, 2, 4, 6)  # the last stage at stride 4, 8, 16 and 32
STEM_CHANNELS = 32


class InvertedResidual(nn.Module):
    """Expand (1×1), filter (3×3 depthwise), project (1×1, linear), plus the input where shapes allow."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expand: int):
        super().__init__()
        inner = in_channels * expand
        self.has_skip = stride == 1 and in_channels == out_channels
        self.expand = nn.Conv2d(in_channels, inner, 1) if expand != 1 else None
        self.filter = nn.Conv2d(inner, inner, 3, stride, 1, groups=inner)
        self.project = nn.Conv2d(inner, out_channels, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, in, H, W) → (N, out, H / stride, W / stride)."""
        x = inputs if self.expand is None else F.relu6(self.expand(inputs))
        x = self.project(F.relu6(self.filter(x)))
        return x + inputs if self.has_skip else x


class MobileNetV2(Encoder):
    """The feature part of MobileNetV2-1.0, without its last 1×1 convolution and classifier."""

    out_channels: Sequence[int] = (24, 32, 96, 320)
    strides: Sequence[int] = (4, 8, 16, 32)
    mean: Sequence[float] = (123.675, 116.28, 103.53)
    std: Sequence[float] = (58.395, 57.12, 57.375)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, STEM_CHANNELS, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList()
        self.taps: list[int] = []
        channels = STEM_CHANNELS
        for index, stage in enumerate(STAGES):
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                self.blocks.append(InvertedResidual(channels, stage.channels, stride, stage.expand))
                channels = stage.channels
            if index in TAPPED_STAGES:
                self.taps.append(len(self.blocks) - 1)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """`images: (N, 3, H, W)`, sides multiples of 32 → features (N, C, H/s, W/s) for s in `strides`."""
        x = F.relu6(self.stem(images))
        features = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.taps:
                features.append(x)
        return features

    def tap_stride2(self) -> None:
        """Publish the features at stride 2, those of the first block, before the others."""
        self.taps = [0, *self.taps]
        self.strides = (2, *self.strides)
        first = cast(InvertedResidual, self.blocks[0]).project
        self.out_channels = (first.out_channels, *self.out_channels)

    def load_imagenet(self, path: Path | None = None) -> None:
        """Load `conv_<i>_weight.npy` and `conv_<i>_bias.npy`, numbered in the order of the forward pass.

        Raises InputError where the folder is not given, not there, or does not hold this network.
        """
        if path is None:
            raise InputError("mobilenetv2: no package installs its weights. Give --backbone-weights FOLDER")
        files = sorted(path.glob("conv_*_weight.npy"), key=lambda file: int(file.name.split("_")[1]))
        names = [name for name, module in self.named_modules() if isinstance(module, nn.Conv2d)]
        # one file more than convolutions: the 1×1 to 1280 channels that only the classifier reads
        if len(files) != len(names) + 1:
            raise InputError(
                f"{path}: {len(files)} conv_*_weight.npy, expected {len(names) + 1}. Check the folder"
            )
        state = {}
        for name, file in zip(names, files, strict=False):
            for kind in ("weight", "bias"):
                part = file.with_name(file.name.replace("_weight", f"_{kind}"))
                try:
                    state[f"{name}.{kind}"] = torch.from_numpy(np.load(part))
                except (OSError, ValueError) as exc:
                    raise InputError(f"{part}: cannot be read as .npy. Copy the folder again") from exc
        load_named_state(self, state, path)
