"""Information fusion (IF): every decoder stage refined, weighted and summed into one logit map.

The refinement unit is RefineNet's residual conv unit (Lin et al., CVPR 2017, arXiv:1611.06612). Each branch
has a 1×1 of its own before the sum: that is what makes "a learned weight per layer" true, since a single 1×1
after the sum would share one weight over all stages.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from train.networks.layers import resize_like

__all__ = ["FeatureRefinementUnit", "FoldedFusion", "InformationFusion"]


class FeatureRefinementUnit(nn.Module):
    """`x + conv3×3(relu(conv3×3(relu(x))))`, with biases and no batch norm."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → the same shape."""
        # the first ReLU must not be in place: the skip needs x as it came
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


class InformationFusion(nn.Module):
    """Refine each stage, project it to a common width, resize to the finest, sum, 1×1 to logits.

    `channels` are the widths of the stages, finest first; the common width is the narrowest of them.
    """

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        width = min(channels)
        self.refine = nn.ModuleList(FeatureRefinementUnit(c) for c in channels)
        self.project = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.classify = nn.Conv2d(width, 1, 1)

    def forward(self, stages: Sequence[torch.Tensor]) -> torch.Tensor:
        """Stages (N, C_i, H_i, W_i), finest first → logits (N, 1, H_0, W_0)."""
        branches = [
            project(refine(stage))
            for stage, refine, project in zip(stages, self.refine, self.project, strict=True)
        ]
        fused = branches[0]
        for branch in branches[1:]:
            fused = fused + resize_like(branch, fused)
        return self.classify(fused)

    def fold(self) -> "FoldedFusion":
        """The same function with fewer operations, for export; exact up to rounding (≤ 1e-5 relative).

        Nothing non-linear follows a unit's second convolution, so that convolution, the projection, the sum
        and the classifier fold into one c→1 3×3 and one c→1 1×1 for the skip; bilinear weights add up to
        one, so the maps of one channel are resized instead of those of `width` channels.
        """
        folded = FoldedFusion([unit.conv1.in_channels for unit in self.refine])
        classify = self.classify.weight.detach()[:, :, 0, 0]  # (1, width)
        with torch.no_grad():
            for index, (refine, project) in enumerate(zip(self.refine, self.project, strict=True)):
                to_logit = classify @ project.weight[:, :, 0, 0]  # (1, c)
                folded.inner[index].load_state_dict(refine.conv1.state_dict())
                folded.outer[index].weight.copy_(torch.einsum("oc,cihw->oihw", to_logit, refine.conv2.weight))
                folded.outer[index].bias.copy_(to_logit @ refine.conv2.bias + classify @ project.bias)
                folded.skip[index].weight.copy_(to_logit[:, :, None, None])
            folded.outer[0].bias.add_(self.classify.bias)
        return folded.train(self.training)


class FoldedFusion(nn.Module):
    """What `InformationFusion.fold` returns: a logit map per stage, resized to the finest and summed."""

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        self.inner = nn.ModuleList(nn.Conv2d(c, c, 3, padding=1) for c in channels)
        self.outer = nn.ModuleList(nn.Conv2d(c, 1, 3, padding=1) for c in channels)
        self.skip = nn.ModuleList(nn.Conv2d(c, 1, 1, bias=False) for c in channels)

    def forward(self, stages: Sequence[torch.Tensor]) -> torch.Tensor:
        """Stages (N, C_i, H_i, W_i), finest first → logits (N, 1, H_0, W_0)."""
        logits = None
        for stage, inner, outer, skip in zip(stages, self.inner, self.outer, self.skip, strict=True):
            stage_logits = outer(F.relu(inner(F.relu(stage)))) + skip(stage)
            logits = stage_logits if logits is None else logits + resize_like(stage_logits, logits)
        return logits
