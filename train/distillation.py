"""Learning an ensemble's masks beside the true ones (Hinton et al., arXiv:1503.02531).

Teachers see the very pictures that the network sees, so that colours and crops need no bookkeeping.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from train.augmentation.augment import normalise
from train.encoders.encoder import encoder_of

__all__ = ["distilled_loss", "soft_masks"]


@torch.no_grad()
def soft_masks(teachers: Sequence[nn.Module], images: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean probability `(N, 1, H, W)` of networks in evaluation mode; `images: (N, 3, H, W)` RGB, 0–255.

    Where `target: (N, 1, H, W)` shows no polyp, it is the truth: what teachers outline there is a mistake.
    """
    masks = [
        torch.sigmoid(teacher(normalise(images, encoder_of(teacher).mean, encoder_of(teacher).std)).float())
        for teacher in teachers
    ]
    has_polyp = target.amax((1, 2, 3), keepdim=True) > 0
    return torch.where(has_polyp, torch.stack(masks).mean(0), target)


def distilled_loss(logits: torch.Tensor, soft: torch.Tensor) -> torch.Tensor:
    """Cross entropy against the teachers' probabilities.

    Their entropy, which no network can go below, is subtracted: the loss of a perfect copy is 0.
    """
    soft = soft.clamp(1e-6, 1 - 1e-6)
    entropy = F.binary_cross_entropy(soft, soft)
    return F.binary_cross_entropy_with_logits(logits, soft) - entropy
