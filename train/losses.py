"""Losses on one logit map; the training loop sums them over a network's heads.

Every loss maps `logits: (N, 1, H, W) float` and `target: (N, 1, H, W) float` in {0, 1} to a scalar.
"""

from collections.abc import Callable

import torch
from torch.nn import functional as F

__all__ = ["LOSSES", "bce_dice_loss", "structure_loss"]

HARDEST_FRACTION = 0.01  # of an empty frame's pixels: what a false outline would be made of


def bce_dice_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Binary cross entropy plus per-image soft Dice.

    An image without a polyp has no Dice: it gets the cross entropy of its hardest 1 % of pixels instead,
    because a small false outline hardly moves a mean over the whole frame.
    """
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(1)
    target = target.flatten(1)
    probability = torch.sigmoid(logits).flatten(1)
    overlap = (probability * target).sum(1)
    dice = 1 - (2 * overlap + 1) / (probability.sum(1) + target.sum(1) + 1)
    hardest = bce.topk(max(1, round(HARDEST_FRACTION * bce.shape[1])), dim=1).values.mean(1)
    is_empty = target.sum(1) == 0
    return (bce.mean(1) + torch.where(is_empty, hardest, dice)).mean()


def structure_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """PraNet's weighted cross entropy plus weighted IoU, as the paper intends it (arXiv:2006.11392).

    A pixel weighs 1 to 6, the more the less its 31×31 neighbourhood agrees with it. Two departures from the
    released code, which never applies the weights to the cross entropy (`reduce='none'` gives a mean) and
    whose zero padding inflates them at the border: pixels outside the image do not count here.
    """
    mean = F.avg_pool2d(target, kernel_size=31, stride=1, padding=15, count_include_pad=False)
    weight = 1 + 5 * (mean - target).abs()
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    weighted_bce = (weight * bce).sum((2, 3)) / weight.sum((2, 3))
    probability = torch.sigmoid(logits)
    overlap = (probability * target * weight).sum((2, 3))
    union = ((probability + target) * weight).sum((2, 3)) - overlap
    return (weighted_bce + 1 - (overlap + 1) / (union + 1)).mean()


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "bce-dice": bce_dice_loss,
    "structure": structure_loss,
}
