"""FCN-8s on VGG16, its twin of four plain scores, and FCN with information fusion.

Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015
(arXiv:1411.4038). `FCN8s` is the published baseline; `FCNSum` and `FCNIF` share one trunk, the encoder's four
stages without fc6 and fc7, so that the fusion alone differs between them.
"""

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from train.encoders.encoder import Encoder
from train.encoders.weights import load_named_state, read_state
from train.networks.fusion import InformationFusion, ScoreSum, folded
from train.networks.layers import check_size, resize, resize_like

__all__ = ["FCNIF", "FCN8s", "FCNSum"]

STRIDE = 32  # of the coarsest features
FC_CHANNELS = 4096
PUBLISHED_NAMES = {"classifier.0": "fc6", "classifier.3": "fc7"}  # torchvision's VGG16


class FCN8s(nn.Module):
    """FCN-8s: VGG16's fully connected layers as convolutions, scores of pool5, pool4 and pool3 added.

    Padding is 1 and fc6 keeps the size; the first release padded the image by 100 instead, which costs twice
    the operations and crops the excess again. Upsampling is bilinear and fixed. fc6 and fc7 go without the
    published dropout: it would draw from a generator whose state a resumed run does not have.
    In training returns a tuple of one logit map (N, 1, H, W); in evaluation the map. Sides must be multiples
    of 32.
    """

    def __init__(self, encoder: Encoder, fc_channels: int = FC_CHANNELS):
        super().__init__()
        self.encoder = encoder
        c3, c4, c5 = encoder.out_channels[-3:]
        self.fc6 = nn.Conv2d(c5, fc_channels, 7, padding=3)
        self.fc7 = nn.Conv2d(fc_channels, fc_channels, 1)
        self.score5 = nn.Conv2d(fc_channels, 1, 1)
        self.score4 = nn.Conv2d(c4, 1, 1)
        self.score3 = nn.Conv2d(c3, 1, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Normalised RGB `images: (N, 3, H, W) float32` → logits at input size; see the class."""
        check_size(images, STRIDE)
        pool3, pool4, pool5 = self.encoder(images)[-3:]
        scores = self.score5(F.relu(self.fc7(F.relu(self.fc6(pool5)))))
        scores = resize_like(scores, pool4) + self.score4(pool4)
        scores = resize_like(scores, pool3) + self.score3(pool3)
        logits = resize(scores, images.shape[-2:])
        return (logits,) if self.training else logits

    def load_classifier(self, path: Path) -> None:
        """Load fc6 and fc7 from the classifier in torchvision's `vgg16-….pth`, as the authors did.

        Raises InputError where the file does not hold it.
        """
        layers = nn.ModuleDict({"fc6": self.fc6, "fc7": self.fc7})
        own = layers.state_dict()
        state = {}
        for key, value in read_state(path).items():
            layer, _, kind = key.rpartition(".")
            if layer in PUBLISHED_NAMES:
                name = f"{PUBLISHED_NAMES[layer]}.{kind}"
                fits = value.numel() == own[name].numel()
                state[name] = value.reshape(own[name].shape) if fits else value  # (out, in · 7 · 7)
        load_named_state(layers, state, path)


class FourStages(nn.Module):
    """The trunk of both: the encoder's stages at strides 4, 8, 16 and 32, and what joins them into logits.

    In training returns a tuple of one logit map (N, 1, H, W); in evaluation the map. Sides must be multiples
    of 32.
    """

    def __init__(self, encoder: Encoder, fusion: nn.Module):
        super().__init__()
        self.encoder = encoder
        self.fusion = fusion

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Normalised RGB `images: (N, 3, H, W) float32` → logits at input size; see the class."""
        check_size(images, STRIDE)
        logits = resize(self.fusion(self.encoder(images)), images.shape[-2:])
        return (logits,) if self.training else logits


class FCNSum(FourStages):
    """The four stages, scored and summed."""

    def __init__(self, encoder: Encoder):
        super().__init__(encoder, ScoreSum(encoder.out_channels))


class FCNIF(FourStages):
    """The four stages, fused."""

    def __init__(self, encoder: Encoder):
        super().__init__(encoder, InformationFusion(encoder.out_channels))

    def fold(self) -> None:
        """Replace the fusion by its exact folded form, for export; cannot be trained on afterwards."""
        self.fusion = folded(self.fusion)
