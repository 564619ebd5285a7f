"""U-Net, and U-Net with information fusion over the stages of its decoder.

Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015,
arXiv:1505.04597; as usually implemented today: padded convolutions, batch norm, transposed convolutions.
Both share one trunk – encoder and decoder – so that the classifier alone differs.
"""

import torch
from torch import nn
from torch.nn import functional as F

from train.networks.fusion import InformationFusion
from train.networks.layers import check_size
from train.networks.own_encoder import OwnEncoder

__all__ = ["UNet", "UNetIF"]

CHANNELS = (64, 128, 256, 512, 1024)
STRIDES = (1, 2, 4, 8, 16)


def double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """Twice: 3×3 convolution, batch norm, ReLU. The norm's shift makes a bias of the convolution idle."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


class ContractingPath(OwnEncoder):
    """Double convolutions with a max pooling before each but the first."""

    out_channels = CHANNELS
    strides = STRIDES

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            double_conv(before, after) for before, after in zip((3, *CHANNELS), CHANNELS, strict=False)
        )

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """`images: (N, 3, H, W)`, sides multiples of 16 → features (N, C, H/s, W/s) for s in `strides`."""
        features = [self.stages[0](images)]
        for stage in self.stages[1:]:
            features.append(stage(F.max_pool2d(features[-1], 2)))
        return features


class ExpandingStage(nn.Module):
    """Double the size, halve the channels, join the encoder's features of that size."""

    def __init__(self, channels: int):
        super().__init__()
        self.up = nn.ConvTranspose2d(2 * channels, channels, 2, stride=2)
        self.convs = double_conv(2 * channels, channels)

    def forward(self, coarse: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """(N, 2C, H/2, W/2) and (N, C, H, W) → (N, C, H, W)."""
        return self.convs(torch.cat([skip, self.up(coarse)], dim=1))


class Trunk(nn.Module):
    """What both share: the contracting and the expanding path."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ContractingPath()
        self.decoder = nn.ModuleList(ExpandingStage(channels) for channels in reversed(CHANNELS[:-1]))

    def trunk(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Images (N, 3, H, W) → the decoder's outputs, finest first: 64@1, 128@2, 256@4, 512@8."""
        check_size(images, STRIDES[-1])
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
