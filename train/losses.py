"""Losses on one logit map; the training loop sums them over a network's heads.

Every loss maps `logits: (N, 1, H, W) float` and `target: (N, 1, H, W) float` in {0, 1} to a scalar.
"""

from collections.abc import Callable, Iterable

import torch
from torch.nn import functional as F

__all__ = [
    "LOSSES",
    "bce_dice_loss",
    "cross_entropy_loss",
    "dice_loss",
    "legacy_structure_loss",
    "structure_loss",
    "total",
    "unetpp_loss",
]

HARDEST_FRACTION = 0.01  # of an empty frame's pixels: what a false outline would be made of


def total(losses: Iterable[torch.Tensor]) -> torch.Tensor:
    """Their sum, of one or more scalars."""
    first, *others = losses
    return sum(others, first)


def cross_entropy_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Binary cross entropy, the mean over all pixels: the default of the information fusion paper."""
    return F.binary_cross_entropy_with_logits(logits, target)


def dice_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """1 − soft Dice of all pixels of the batch together, as in the released code of ResUNet++."""
    probability = torch.sigmoid(logits)
    return 1 - (2 * (probability * target).sum() + 1) / (probability.sum() + target.sum() + 1)


def unetpp_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Half the cross entropy plus Dice, as U-Net++'s authors released it (arXiv:1912.05074)."""
    return 0.5 * cross_entropy_loss(logits, target) + dice_loss(logits, target)


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

    A pixel weighs 1 to 6, the more the less its 31×31 neighbourhood within the image agrees with it.
    """
    weight = _disagreement(target, zeros_around=False)
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    weighted_bce = (weight * bce).sum((2, 3)) / weight.sum((2, 3))
    return (weighted_bce + _weighted_iou_loss(logits, target, weight)).mean()


def legacy_structure_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """What PraNet's released code computes in place of `structure_loss`.

    Its `reduce="none"` gives a mean, so that the weights of the cross entropy cancel; and its pooling counts
    zeros around the image, so that a polyp weighs up to 4.67 at the corner where it should weigh 1.
    """
    weight = _disagreement(target, zeros_around=True)
    return cross_entropy_loss(logits, target) + _weighted_iou_loss(logits, target, weight).mean()


def _disagreement(target: torch.Tensor, *, zeros_around: bool) -> torch.Tensor:
    """1 + 5 |mean of the 31×31 neighbourhood − the pixel itself|; rows first, for a fifteenth of the sums."""
    mean = F.avg_pool2d(target, (31, 1), stride=1, padding=(15, 0), count_include_pad=zeros_around)
    mean = F.avg_pool2d(mean, (1, 31), stride=1, padding=(0, 15), count_include_pad=zeros_around)
    return 1 + 5 * (mean - target).abs()


def _weighted_iou_loss(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(N, 1) 1 − soft IoU of each image."""
    probability = torch.sigmoid(logits)
    overlap = (probability * target * weight).sum((2, 3))
    union = ((probability + target) * weight).sum((2, 3)) - overlap
    return 1 - (overlap + 1) / (union + 1)


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "bce-dice": bce_dice_loss,
    "structure": structure_loss,
    "structure-legacy": legacy_structure_loss,
    "cross-entropy": cross_entropy_loss,
    "dice": dice_loss,
    "bce-dice-unetpp": unetpp_loss,
}
