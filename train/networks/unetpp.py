"""U-Net++, and U-Net++ with information fusion over the ends of its rows.

Zhou et al., "UNet++: Redesigning Skip Connections to Exploit Multiscale Features in Image Segmentation",
IEEE TMI 2020, arXiv:1912.05074. Both share one trunk – encoder and nested decoder – so that the classifier
alone differs. A light encoder's features at strides 2 … 32 can take the place of the backbone; the logits
then come at stride 2. Features are enlarged with half-pixel centres like everywhere here, where the usual
PyTorch port aligns corners.
"""

import torch
from torch import nn

from train.encoders.encoder import Encoder
from train.networks.fusion import InformationFusion, folded
from train.networks.layers import check_size, resize, resize_like
from train.networks.own_encoder import ContractingPath, double_conv

__all__ = ["UNetPlusPlus", "UNetPlusPlusIF"]

CHANNELS = (32, 64, 128, 256, 512)
LIGHT_CHANNELS = (8, 16, 32, 64)  # of the nested nodes on a light encoder: a quarter of the published
DEPTH = len(CHANNELS) - 1


class Trunk(nn.Module):
    """What both share: the backbone, or a light encoder in its place, and the nested nodes X(i, j), j ≥ 1.

    Row i has stride 2^i, on a light encoder twice that. X(i, j) reads all nodes to its left in its row, and
    the one below left, enlarged.
    """

    def __init__(self, encoder: Encoder | None):
        super().__init__()
        self.encoder: Encoder = ContractingPath(CHANNELS, bias=True) if encoder is None else encoder
        self.channels = CHANNELS[:-1] if encoder is None else LIGHT_CHANNELS  # of the nested nodes, by row
        self.nested = nn.ModuleDict(
            {
                f"x{i}{j}": double_conv(self._inputs(i, j), self.channels[i], bias=True)
                for j in range(1, DEPTH + 1)
                for i in range(DEPTH + 1 - j)
            }
        )

    def _inputs(self, i: int, j: int) -> int:
        """Channels that X(i, j) reads."""
        backbone = self.encoder.out_channels
        below = backbone[i + 1] if j == 1 else self.channels[i + 1]
        return backbone[i] + (j - 1) * self.channels[i] + below

    def trunk(self, images: torch.Tensor) -> list[list[torch.Tensor]]:
        """Images (N, 3, H, W) → the rows, finest first; row i holds X(i, 0) … X(i, 4 − i)."""
        check_size(images, self.encoder.strides[-1])
        rows = [[x_i0] for x_i0 in self.encoder(images)]
        for j in range(1, DEPTH + 1):
            for i in range(DEPTH + 1 - j):
                below = resize_like(rows[i + 1][j - 1], rows[i][0])
                rows[i].append(self.nested[f"x{i}{j}"](torch.cat([*rows[i], below], dim=1)))
        return rows


class UNetPlusPlus(Trunk):
    """U-Net++: a 1×1 on X(0, 4), and on X(0, 3), X(0, 2), X(0, 1) too under deep supervision.

    In training returns a tuple of one or, under deep supervision, four logit maps (N, 1, H, W), that of
    X(0, 4) first; in evaluation that one only. Sides must be multiples of the encoder's last stride: 16, or
    32 of a light one.
    """

    def __init__(self, encoder: Encoder | None = None, *, deep_supervision: bool = False):
        super().__init__(encoder)
        heads = DEPTH if deep_supervision else 1
        self.classify = nn.ModuleList(nn.Conv2d(self.channels[0], 1, 1) for _ in range(heads))

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Normalised RGB `images: (N, 3, H, W) float32` → logits at input size; see the class."""
        size = images.shape[-2:]
        finest = reversed(self.trunk(images)[0])
        if self.training:
            return tuple(
                resize(classify(x_0j), size) for classify, x_0j in zip(self.classify, finest, strict=False)
            )
        return resize(self.classify[0](next(finest)), size)


class UNetPlusPlusIF(Trunk):
    """U-Net++ with information fusion over X(0, 4), X(1, 3), X(2, 2), X(3, 1) instead of the 1×1.

    In training returns a tuple of one logit map (N, 1, H, W), in evaluation the map. Sides must be multiples
    of the encoder's last stride: 16, or 32 of a light one.
    """

    def __init__(self, encoder: Encoder | None = None):
        super().__init__(encoder)
        self.fusion: nn.Module = InformationFusion(self.channels)

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Normalised RGB `images: (N, 3, H, W) float32` → logits at input size; see the class."""
        final = resize(self.fusion([row[-1] for row in self.trunk(images)[:-1]]), images.shape[-2:])
        return (final,) if self.training else final

    def fold(self) -> None:
        """Replace the fusion by its exact folded form, for export; cannot be trained on afterwards."""
        self.fusion = folded(self.fusion)
