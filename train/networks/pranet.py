"""PraNet, and PraNet with information fusion in place of reverse attention.

Fan et al., "PraNet: Parallel Reverse Attention Network for Polyp Segmentation", MICCAI 2020,
arXiv:2006.11392. Both share one trunk – encoder, receptive field blocks, partial decoder – so that the last
module alone differs.
"""

import torch
from torch import nn
from torch.nn import functional as F

from train.encoders.encoder import Encoder
from train.networks.fusion import FUSIONS, folded
from train.networks.layers import (
    BasicConv2d,
    PartialDecoder,
    ReceptiveFieldBlock,
    check_size,
    resize,
    resize_like,
)
from train.networks.second_look import LooksTwice

__all__ = ["PraNet", "PraNetCoarse", "PraNetIF"]

CHANNELS = 32  # of every receptive field block
WIDE_CHANNELS = 34  # of PraNetCoarse: as many parameters as with fusion
STRIDE = 32  # of the coarsest features


class Trunk(nn.Module):
    """What both share: encoder → receptive field blocks at strides 8, 16, 32 → partial decoder's map S_g."""

    def __init__(self, encoder: Encoder, channels: int = CHANNELS):
        super().__init__()
        self.encoder = encoder
        c3, c4, c5 = encoder.out_channels[-3:]
        self.rfb3 = ReceptiveFieldBlock(c3, channels)
        self.rfb4 = ReceptiveFieldBlock(c4, channels)
        self.rfb5 = ReceptiveFieldBlock(c5, channels)
        self.partial_decoder = PartialDecoder(channels)

    def trunk(self, images: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
        """Images (N, 3, H, W) → encoder features, the three refined ones (finest first), S_g at stride 8."""
        check_size(images, STRIDE)
        features = self.encoder(images)
        c3, c4, c5 = features[-3:]
        refined = [self.rfb3(c3), self.rfb4(c4), self.rfb5(c5)]
        return features, refined, self.partial_decoder(*refined)

    def fold(self) -> None:
        """Replace what folds by its exact folded form, for export, in evaluation mode; trains no more."""
        self.partial_decoder.fold()


class ReverseAttention(nn.Module):
    """Correct a coarse map by looking where it says "no polyp": `convs((1 − σ(map)) · x) + map`."""

    def __init__(self, in_channels: int, channels: int, kernel: int, depth: int, last_kernel: int):
        super().__init__()
        self.squeeze = BasicConv2d(in_channels, channels, 1)
        self.convs = nn.ModuleList(BasicConv2d(channels, channels, kernel) for _ in range(depth))
        self.classify = BasicConv2d(channels, 1, last_kernel)

    def forward(self, features: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        """Features (N, C, H, W) and coarse logits of any size → logits (N, 1, H, W)."""
        coarse = resize_like(coarse, features)
        x = self.squeeze((1 - torch.sigmoid(coarse)) * features)
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.classify(x) + coarse


class PraNet(Trunk):
    """PraNet: reverse attention from the coarse map down to stride 8.

    In training returns four logit maps (N, 1, H, W), the final one first, then those of reverse attention at
    strides 16 and 32 and S_g; in evaluation the final one only. Sides must be multiples of 32.
    """

    def __init__(self, encoder: Encoder):
        super().__init__(encoder)
        c3, c4, c5 = encoder.out_channels[-3:]
        self.reverse3 = ReverseAttention(c3, 64, kernel=3, depth=2, last_kernel=3)
        self.reverse4 = ReverseAttention(c4, 64, kernel=3, depth=2, last_kernel=3)
        self.reverse5 = ReverseAttention(c5, 256, kernel=5, depth=3, last_kernel=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Normalised RGB `images: (N, 3, H, W) float32` → logits at input size; see the class."""
        features, _, coarse = self.trunk(images)
        c3, c4, c5 = features[-3:]
        map5 = self.reverse5(c5, coarse)
        map4 = self.reverse4(c4, map5)
        map3 = self.reverse3(c3, map4)
        size = images.shape[-2:]
        if self.training:
            return tuple(resize(logits, size) for logits in (map3, map4, map5, coarse))
        return resize(map3, size)


class PraNetCoarse(Trunk):
    """The trunk alone, its map S_g as the final one, widened to the parameters that the fusion adds.

    For the ablation: PraNet itself has more parameters than with fusion in place of reverse attention. In
    training returns a tuple of one logit map (N, 1, H, W), in evaluation the map. Sides must be multiples of
    32.
    """

    def __init__(self, encoder: Encoder):
        super().__init__(encoder, WIDE_CHANNELS)

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Normalised RGB `images: (N, 3, H, W) float32` → logits at input size; see the class."""
        final = resize(self.trunk(images)[-1], images.shape[-2:])
        return (final,) if self.training else final


class PraNetIF(Trunk, LooksTwice):
    """PraNet with information fusion instead of reverse attention: final map = IF + S_g.

    `stride4` adds the encoder's stride-4 features, at their own width, as the finest branch of the fusion;
    `fusion` is a key of FUSIONS.
    In training returns two logit maps (N, 1, H, W), the final one first, then S_g; in evaluation only the
    final one, after the second look where there is one. Sides must be multiples of 32.
    """

    def __init__(self, encoder: Encoder, stride4: bool = False, fusion: str = "full"):
        super().__init__(encoder)
        self.stride4 = stride4
        finest = [encoder.out_channels[-4]] if stride4 else []
        self.fusion = FUSIONS[fusion]([*finest, CHANNELS, CHANNELS, CHANNELS])
        self.second_look = None

    def evidence_channels(self) -> list[int]:
        """Encoder features at strides 8, 16, 32, then the refined ones."""
        return [*self.encoder.out_channels[-3:], CHANNELS, CHANNELS, CHANNELS]

    def evidence(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """See the base class; the features are encoder features and refined ones."""
        features, refined, coarse = self.trunk(images)
        final = self._final(features, refined, coarse)
        return resize(final, images.shape[-2:]), [*features[-3:], *refined]

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Normalised RGB `images: (N, 3, H, W) float32` → logits at input size; see the class."""
        if self.training:
            features, refined, coarse = self.trunk(images)
            size = images.shape[-2:]
            return resize(self._final(features, refined, coarse), size), resize(coarse, size)
        return self.looked(images)

    def _final(
        self, features: list[torch.Tensor], refined: list[torch.Tensor], coarse: torch.Tensor
    ) -> torch.Tensor:
        fused = self.fusion([features[-4], *refined] if self.stride4 else refined)
        return fused + resize_like(coarse, fused)

    def fold(self) -> None:
        """As in the trunk, and the fusion with it."""
        super().fold()
        self.fusion = folded(self.fusion)
