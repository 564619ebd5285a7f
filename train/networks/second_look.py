"""A second look at what a network outlines: is it a polyp?

A segmentation network is asked pixel by pixel, and its mean probability in an outline tells a polyp from
residue, a valve or a fold badly. Its features tell them apart far better, so a linear map of them is fitted
to whole outlines, once the network is trained, by `train.second_look`. What it says of an outline is the
mean over the outline, as it was fitted: pixel by pixel it doubts parts of polyps.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from train.networks.layers import resize_like

__all__ = ["HIGHEST", "SecondLook", "over_outlines"]

WINDOW = 9  # cells of the first map, at stride 8: what is averaged at once
ROUNDS = 4  # of averaging, each from what the last one gave: so far apart do the cells of an outline meet
HIGHEST = 4.0  # logits above this, a probability of 0.98, are all as sure


class SecondLook(nn.Module):
    """Scales the logits above zero by the probability that what they outline is a polyp.

    A logit's sign stays, so the mask at 0.5 is the same with and without the second look; the probabilities
    inside it, whose mean is an outline's confidence, fall towards 0.5 where the features tell of no polyp.
    """

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        self.widths = list(channels)
        self.scores = nn.ModuleList(
            nn.Conv2d(each, 1, 1, bias=place == 0) for place, each in enumerate(channels)
        )

    def put(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Take the weights (D,) of all maps' channels one after another, and the bias (1,)."""
        parts = torch.split(weight, self.widths)
        state = {f"scores.{place}.weight": part[None, :, None, None] for place, part in enumerate(parts)}
        self.load_state_dict(state | {"scores.0.bias": bias})

    def presence(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Features (N, C, h, w) of any strides → presence logits (N, 1, h, w) at the first one's."""
        first, *others = (score(x) for score, x in zip(self.scores, features, strict=True))
        logits: torch.Tensor = first + sum(resize_like(other, first) for other in others)
        return logits

    def forward(self, logits: torch.Tensor, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Logits (N, 1, H, W) → the same, scaled where they are above zero."""
        presence = over_outlines(self.presence(features), logits)
        presence = torch.sigmoid(resize_like(presence, logits))
        return logits.clamp(max=0.0) + logits.clamp(0.0, HIGHEST) * presence


def over_outlines(presence: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Presence logits (N, 1, h, w), averaged over what the logits (N, 1, H, W) outline.

    Each round gives a cell the mean of the window around it, weighted by how much of each cell is outlined;
    nothing passes between outlines that lie further apart than half a window.
    """
    cover = F.avg_pool2d((logits > 0.0).to(presence.dtype), logits.shape[-1] // presence.shape[-1])
    weight = F.avg_pool2d(cover, WINDOW, 1, WINDOW // 2).clamp(min=1e-4)
    for _ in range(ROUNDS):
        presence = F.avg_pool2d(cover * presence, WINDOW, 1, WINDOW // 2) / weight
    return presence
