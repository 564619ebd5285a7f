"""ResUNet++, and ResUNet++ with information fusion over its decoder and output.

Jha et al., "ResUNet++: An Advanced Architecture for Medical Image Segmentation", ISM 2019, arXiv:1911.07067,
as the author's PyTorch code has it. Both share one trunk – encoder, bridge, decoder, output ASPP – so that
the classifier alone differs. A light encoder's features at strides 2 … 32 can take the place of the residual
blocks; being one stage more, they get one decoder stage more, and the logits come at stride 2.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from train.encoders.encoder import Encoder
from train.networks.fusion import InformationFusion, folded
from train.networks.layers import check_size, resize
from train.networks.own_encoder import OwnEncoder

__all__ = ["ResUNetPlusPlus", "ResUNetPlusPlusIF"]

CHANNELS = (16, 32, 64, 128)
STRIDES = (1, 2, 4, 8)
DILATIONS = (1, 6, 12, 18)
REDUCTION = 8  # of the channels in squeeze and excitation


class Widths(NamedTuple):
    """Channels behind the encoder."""

    bridge: int
    decoder: tuple[int, ...]  # coarse to fine
    output: int


PUBLISHED = Widths(256, (128, 64, 32), 16)  # decoder at strides 4, 2, 1
LIGHT = Widths(128, (128, 64, 32, 16), 16)  # at strides 16, 8, 4, 2


def pre_activated(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """Batch norm, ReLU, 3×3 convolution."""
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, 3, stride, padding=1),
    )


class SqueezeExcitation(nn.Module):
    """Scale each channel by a factor that all channels' means decide; 1×1 convolutions without bias.

    Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, arXiv:1709.01507.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // REDUCTION, 1, bias=False)
        self.excite = nn.Conv2d(channels // REDUCTION, channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → the same shape."""
        means = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(means))))


class ResidualBlock(nn.Module):
    """Two convolutions plus a projected shortcut, then squeeze and excitation.

    The stem is the same without the norm and ReLU before its first convolution, since it reads the image.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, is_stem: bool = False):
        super().__init__()
        first = (
            nn.Conv2d(in_channels, out_channels, 3, stride, padding=1)
            if is_stem
            else pre_activated(in_channels, out_channels, stride)
        )
        self.convs = nn.Sequential(first, pre_activated(out_channels, out_channels))
        self.shortcut = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride), nn.BatchNorm2d(out_channels)
        )
        self.attention = SqueezeExcitation(out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in, H, W) → (N, out, H / stride, W / stride)."""
        return self.attention(self.convs(x) + self.shortcut(x))


class AtrousPyramid(nn.Module):
    """ASPP: the sum of four dilated 3×3 convolutions with batch norm, then 1×1.

    Chen et al., "DeepLab", TPAMI 2018, arXiv:1606.00915.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation),
                nn.BatchNorm2d(out_channels),
            )
            for dilation in DILATIONS
        )
        self.project = nn.Conv2d(out_channels, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in, H, W) → (N, out, H, W)."""
        first, *others = (branch(x) for branch in self.branches)
        for other in others:
            first = first + other
        return self.project(first)


class Attention(nn.Module):
    """Weight coarse features by what the encoder saw at twice their size."""

    def __init__(self, skip_channels: int, channels: int):
        super().__init__()
        self.from_skip = pre_activated(skip_channels, channels)
        self.from_coarse = pre_activated(channels, channels)
        self.join = pre_activated(channels, channels)

    def forward(self, skip: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        """(N, S, 2H, 2W) and (N, C, H, W) → (N, C, H, W)."""
        joined = F.max_pool2d(self.from_skip(skip), 2) + self.from_coarse(coarse)
        return self.join(joined) * coarse


class DecoderStage(nn.Module):
    """Attend, double the size, join the encoder's features of that size, residual block."""

    def __init__(self, skip_channels: int, channels: int, out_channels: int):
        super().__init__()
        self.attention = Attention(skip_channels, channels)
        self.block = ResidualBlock(skip_channels + channels, out_channels)

    def forward(self, skip: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        """(N, S, 2H, 2W) and (N, C, H, W) → (N, out, 2H, 2W)."""
        attended = self.attention(skip, coarse)
        # nearest, as in the author's code; at exactly twice the size every backend does the same
        enlarged = F.interpolate(attended, size=skip.shape[-2:], mode="nearest")
        return self.block(torch.cat([enlarged, skip], dim=1))


class ResidualEncoder(OwnEncoder):
    """The stem at full size, then residual blocks that halve it."""

    out_channels: Sequence[int] = CHANNELS
    strides: Sequence[int] = STRIDES

    def __init__(self) -> None:
        super().__init__()
        stem = ResidualBlock(3, CHANNELS[0], is_stem=True)
        self.blocks = nn.ModuleList(
            [stem, *(ResidualBlock(before, 2 * before, stride=2) for before in CHANNELS[:-1])]
        )

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """`images: (N, 3, H, W)`, sides multiples of 8 → features (N, C, H/s, W/s) for s in `strides`."""
        features = [self.blocks[0](images)]
        for block in self.blocks[1:]:
            features.append(block(features[-1]))
        return features


class Trunk(nn.Module):
    """What both share: encoder, ASPP bridge, decoder, output ASPP."""

    def __init__(self, encoder: Encoder | None):
        super().__init__()
        self.encoder: Encoder = ResidualEncoder() if encoder is None else encoder
        self.widths = PUBLISHED if encoder is None else LIGHT
        bridge, decoder, output = self.widths
        *skips, coarsest = self.encoder.out_channels
        self.bridge = AtrousPyramid(coarsest, bridge)
        inputs = (bridge, *decoder[:-1])
        self.decoder = nn.ModuleList(
            DecoderStage(*channels) for channels in zip(reversed(skips), inputs, decoder, strict=True)
        )
        self.output = AtrousPyramid(decoder[-1], output)

    def trunk(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Images (N, 3, H, W) → finest first: the output ASPP 16@1, then the decoder's 64@2 and 128@4.

        On a light encoder one stage more: 16@2, 32@4, 64@8, 128@16.
        """
        check_size(images, self.encoder.strides[-1])
        *skips, coarsest = self.encoder(images)
        x = self.bridge(coarsest)
        outputs: list[torch.Tensor] = []
        for stage, skip in zip(self.decoder, reversed(skips), strict=True):
            x = stage(skip, x)
            outputs.insert(0, x)
        return [self.output(x), *outputs[1:]]


class ResUNetPlusPlus(Trunk):
    """ResUNet++: a 1×1 on the output ASPP.

    In training returns a tuple of one logit map (N, 1, H, W), in evaluation the map. Sides must be multiples
    of the encoder's last stride: 8, or 32 of a light one.
    """

    def __init__(self, encoder: Encoder | None = None):
        super().__init__(encoder)
        self.classify = nn.Conv2d(self.widths.output, 1, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Normalised RGB `images: (N, 3, H, W) float32` → logits at input size; see the class."""
        final = resize(self.classify(self.trunk(images)[0]), images.shape[-2:])
        return (final,) if self.training else final


class ResUNetPlusPlusIF(Trunk):
    """ResUNet++ with information fusion over output ASPP and decoder instead of the 1×1.

    In training returns a tuple of one logit map (N, 1, H, W), in evaluation the map. Sides must be multiples
    of the encoder's last stride: 8, or 32 of a light one.
    """

    def __init__(self, encoder: Encoder | None = None):
        super().__init__(encoder)
        *coarser, _ = self.widths.decoder
        self.fusion: nn.Module = InformationFusion([self.widths.output, *reversed(coarser)])

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Normalised RGB `images: (N, 3, H, W) float32` → logits at input size; see the class."""
        final = resize(self.fusion(self.trunk(images)), images.shape[-2:])
        return (final,) if self.training else final

    def fold(self) -> None:
        """Replace the fusion by its exact folded form, for export; cannot be trained on afterwards."""
        self.fusion = folded(self.fusion)
