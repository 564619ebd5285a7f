"""U-Net, and U-Net with information fusion over the stages of its decoder.

Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015,
arXiv:1505.04597; as usually implemented today: padded convolutions, batch norm, transposed convolutions.
Both share one trunk – encoder and decoder – so that the classifier alone differs. A light encoder's features
at strides 2 … 32 can take the place of the contracting path; the logits then come at stride 2.
"""

from collections.abc import Sequence

import torch
from torch import nn

from train.encoders.encoder import Encoder
from train.networks.fusion import FUSIONS, folded
from train.networks.layers import check_size, resize
from train.networks.own_encoder import ContractingPath, double_conv

__all__ = ["UNet", "UNetIF"]

CHANNELS = (64, 128, 256, 512, 1024)
LIGHT_CHANNELS = (16, 32, 64, 128)  # the decoder's on a light encoder: a quarter of the published
WIDE_CHANNELS = (21, 42, 84, 168)  # the same without fusion, of as many parameters as with it


class ExpandingStage(nn.Module):
    """Double the size, change the channels, join the encoder's features of that size."""

    def __init__(self, coarse_channels: int, skip_channels: int, channels: int):
        super().__init__()
        self.up = nn.ConvTranspose2d(coarse_channels, channels, 2, stride=2)
        self.convs = double_conv(skip_channels + channels, channels, bias=False)

    def forward(self, coarse: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """(N, coarse, H/2, W/2) and (N, skip, H, W) → (N, C, H, W)."""
        return self.convs(torch.cat([skip, self.up(coarse)], dim=1))


class Trunk(nn.Module):
    """What both share: the contracting path, or a light encoder in its place, and the expanding path."""

    def __init__(self, encoder: Encoder | None, channels: Sequence[int]):
        super().__init__()
        self.encoder: Encoder = ContractingPath(CHANNELS, bias=False) if encoder is None else encoder
        self.channels = tuple(channels)  # of the decoder's outputs, finest first
        *skips, coarsest = self.encoder.out_channels
        inputs = (*channels[1:], coarsest)
        stages = [ExpandingStage(*widths) for widths in zip(inputs, skips, channels, strict=True)]
        self.decoder = nn.ModuleList(stages[::-1])

    def trunk(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Images (N, 3, H, W) → the decoder's outputs, finest first: 64@1, 128@2, 256@4, 512@8.

        On a light encoder their strides are 2, 4, 8, 16.
        """
        check_size(images, self.encoder.strides[-1])
        *skips, x = self.encoder(images)
        outputs: list[torch.Tensor] = []
        for stage, skip in zip(self.decoder, reversed(skips), strict=True):
            x = stage(x, skip)
            outputs.insert(0, x)
        return outputs


class UNet(Trunk):
    """U-Net: a 1×1 on the finest decoder output.

    In training returns a tuple of one logit map (N, 1, H, W), in evaluation the map. Sides must be multiples
    of the encoder's last stride: 16, or 32 of a light one.
    """

    def __init__(self, encoder: Encoder | None = None, *, wide: bool = False):
        light = WIDE_CHANNELS if wide else LIGHT_CHANNELS
        super().__init__(encoder, CHANNELS[:-1] if encoder is None else light)
        self.classify = nn.Conv2d(self.channels[0], 1, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Normalised RGB `images: (N, 3, H, W) float32` → logits at input size; see the class."""
        final = resize(self.classify(self.trunk(images)[0]), images.shape[-2:])
        return (final,) if self.training else final


class UNetIF(Trunk):
    """U-Net with information fusion over all decoder outputs instead of the 1×1 on the finest.

    `fusion` is a key of FUSIONS. In training returns a tuple of one logit map (N, 1, H, W), in evaluation the
    map. Sides must be multiples of the encoder's last stride: 16, or 32 of a light one.
    """

    def __init__(self, encoder: Encoder | None = None, fusion: str = "full"):
        super().__init__(encoder, CHANNELS[:-1] if encoder is None else LIGHT_CHANNELS)
        self.fusion = FUSIONS[fusion](self.channels)

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Normalised RGB `images: (N, 3, H, W) float32` → logits at input size; see the class."""
        final = resize(self.fusion(self.trunk(images)), images.shape[-2:])
        return (final,) if self.training else final

    def fold(self) -> None:
        """Replace the fusion by its exact folded form, for export; cannot be trained on afterwards."""
        self.fusion = folded(self.fusion)
