"""Validation while training: per-image Dice and IoU at 0.5, at network size."""

from dataclasses import dataclass

import torch
from torch import nn

from rtpolyp.errors import RtpolypError
from train.augmentation.augment import normalise
from train.data import Frames
from train.encoders.encoder import encoder_of

__all__ = ["Validation", "overlap", "validate"]


@dataclass(frozen=True)
class Validation:
    """Means over images with a polyp, a source each; and what the others were given."""

    dice: dict[str, float]  # source → mean Dice
    iou: dict[str, float]  # source → mean IoU
    false_outlines: float  # share of polyp-free frames with any pixel above 0.5; NaN without such frames

    @property
    def macro_dice(self) -> float:
        """Mean over the sources, so that no large one hides a small one; what "best" means."""
        return sum(self.dice.values()) / len(self.dice)

    @property
    def macro_iou(self) -> float:
        """Mean over the sources."""
        return sum(self.iou.values()) / len(self.iou)


def overlap(predicted: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Dice and IoU, each (N,) float64, of boolean masks (N, H, W); 1 where both are empty."""
    both = (predicted & truth).flatten(1).sum(1).double()
    total = predicted.flatten(1).sum(1) + truth.flatten(1).sum(1)
    union = total - both
    dice = torch.where(total > 0, 2 * both / total.clamp(min=1), 1.0)
    return dice, torch.where(union > 0, both / union.clamp(min=1), 1.0)


@torch.inference_mode()
def validate(network: nn.Module, frames: Frames, batch: int, device: torch.device) -> Validation:
    """Score a network in evaluation mode on frames of its input size, some of them with a polyp.

    Raises RtpolypError that names the first frame on which its logits are not finite: compared with 0 they
    would count as "no polyp".
    """
    scores = []
    for start in range(0, len(frames), batch):
        images = torch.from_numpy(frames.images[start : start + batch]).to(device).permute(0, 3, 1, 2).float()
        logits = network(normalise(images, encoder_of(network).mean, encoder_of(network).std))[:, 0]
        is_finite, predicted = logits.isfinite().flatten(1).all(1), logits > 0
        truth = torch.from_numpy(frames.masks[start : start + batch]).to(device) > 127
        has_polyp, is_outlined = (mask.flatten(1).any(1) for mask in (truth, predicted))
        scores.append(
            torch.stack([*overlap(predicted, truth), has_polyp, is_outlined, is_finite], dim=1).cpu()
        )
    dice, iou, has_polyp, is_outlined, is_finite = torch.cat(scores).unbind(1)
    if not is_finite.all():
        file = frames.files[int(is_finite.argmin())]
        raise RtpolypError(
            f"{file.source}/{file.name}: the network gives no finite logits for this validation frame. "
            "Lower the learning rates"
        )
    source = torch.from_numpy(frames.source_index)
    dices, ious = {}, {}
    for index, name in enumerate(frames.sources):
        chosen = (source == index) & (has_polyp > 0)
        if chosen.any():
            dices[name], ious[name] = dice[chosen].mean().item(), iou[chosen].mean().item()
    return Validation(dices, ious, is_outlined[has_polyp == 0].mean().item())
