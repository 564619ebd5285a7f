"""U-Net, and U-Net with information fusion over the stages of its decoder.

Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015,
arXiv:1505.04597; as usually implemented today: padded convolutions, batch norm, transposed convolutions.
Both share one trunk – encoder and decoder – so that the classifier alone differs.
"""

import torch
from torch import nn

from train.networks.fusion import InformationFusion
from train.networks.layers import check_size
from train.networks.own_encoder import ContractingPath, double_conv

__all__ = ["UNet", "UNetIF"]

CHANNELS = (64, 128, 256, 512, 1024)
STRIDE = 16  # of the coarsest features


class ExpandingStage(nn.Module):
    """Double the size, halve the channels, join the encoder's features of that size."""

    def __init__(self, channels: int):
        super().__init__()
        self.up = nn.ConvTranspose2d(2 * channels, channels, 2, stride=2)
        self.convs = double_conv(2 * channels, channels, bias=False)

    def forward(self, coarse: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """(N, 2C, H/2, W/2) and (N, C, H, W) → (N, C, H, W)."""
        return self.convs(torch.cat([skip, self.up(coarse)], dim=1))


class Trunk(nn.Module):
    """What both share: the contracting and the expanding path."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ContractingPath(CHANNELS, bias=False)
        self.decoder = nn.ModuleList(ExpandingStage(channels) for channels in reversed(CHANNELS[:-1]))

    def trunk(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Images (N, 3, H, W) → the decoder's outputs, finest first: 64@1, 128@2, 256@4, 512@8."""
        check_size(images, STRIDE)
        *skips, x = self.encoder(images)
        outputs = []
        for stage, skip in zip(self.decoder, reversed(skips), strict=True):
            x = stage(x, skip)
            outputs.insert(0, x)
        return outputs


class UNet(Trunk):
    """U-Net: a 1×1 on the finest decoder output.

    In training returns a tuple of one logit map (N, 1, H, W), in evaluation the map. Sides must be multiples
    of 16.
    """

    def __init__(self) -> None:
        super().__init__()
        self.classify = nn.Conv2d(CHANNELS[0], 1, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Normalised RGB `images: (N, 3, H, W) float32` → logits at input size; see the class."""
        final = self.classify(self.trunk(images)[0])
        return (final,) if self.training else final


class UNetIF(Trunk):
    """U-Net with information fusion over all decoder outputs instead of the 1×1 on the finest.

    In training returns a tuple of one logit map (N, 1, H, W), in evaluation the map. Sides must be multiples
    of 16.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fusion = InformationFusion(CHANNELS[:-1])

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Normalised RGB `images: (N, 3, H, W) float32` → logits at input size; see the class."""
        final = self.fusion(self.trunk(images))
        return (final,) if self.training else final

    def fold(self) -> None:
        """Replace the fusion by its exact folded form, for export; cannot be trained on afterwards."""
        self.fusion = self.fusion.fold()
