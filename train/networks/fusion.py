"""Information fusion (IF): every decoder stage refined, weighted and summed into one logit map.

The refinement unit is RefineNet's residual conv unit (Lin et al., CVPR 2017, arXiv:1611.06612). Each branch
has a 1×1 of its own before the sum: that is what makes "a learned weight per layer" true, since a single 1×1
after the sum would share one weight over all stages.

FUSIONS has the module and what is left of it without either of its parts, for the ablation.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import cast

import torch
from torch import nn
from torch.nn import functional as F

from rtpolyp.errors import InputError
from train.networks.layers import bias_of, resize_like

__all__ = [
    "FUSIONS",
    "FeatureRefinementUnit",
    "FoldedFusion",
    "InformationFusion",
    "ScoreSum",
    "UnrefinedFusion",
    "folded",
]


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


class ChannelMeans(nn.Module):
    """What stands in for a stage's 1×1 in a plain sum: `width` means of neighbouring channels."""

    weight: torch.Tensor  # (width, channels, 1, 1)
    bias: torch.Tensor  # (width,) of zeros

    def __init__(self, channels: int, width: int):
        super().__init__()
        if channels % width:
            raise InputError(f"{channels} channels are no multiple of {width}: a plain sum cannot join them")
        share = channels // width
        means = torch.eye(width).repeat_interleave(share, dim=1)[:, :, None, None] / share
        self.register_buffer("weight", means, persistent=False)
        self.register_buffer("bias", torch.zeros(width), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, channels, H, W) → (N, width, H, W)."""
        return F.conv2d(x, self.weight)


class InformationFusion(nn.Module):
    """Refine each stage, project it to a common width, resize to the finest, sum, 1×1 to logits.

    `channels` are the widths of the stages, finest first; the common width is the narrowest of them. Without
    `weighs` the projections are means of channels, so that no stage has weights of its own in the sum.
    """

    def __init__(self, channels: Sequence[int], *, weighs: bool = True):
        super().__init__()
        width = min(channels)
        self.refine = nn.ModuleList(FeatureRefinementUnit(c) for c in channels)
        self.project = nn.ModuleList(
            nn.Conv2d(c, width, 1) if weighs else ChannelMeans(c, width) for c in channels
        )
        self.classify = nn.Conv2d(width, 1, 1)

    def forward(self, stages: Sequence[torch.Tensor]) -> torch.Tensor:
        """Stages (N, C_i, H_i, W_i), finest first → logits (N, 1, H_0, W_0)."""
        refined = [refine(stage) for stage, refine in zip(stages, self.refine, strict=True)]
        return self.classify(_summed(refined, self.project))

    def fold(self) -> "FoldedFusion":
        """The same function with fewer operations, for export; exact up to rounding (≤ 1e-5 relative).

        Nothing non-linear follows a unit's second convolution, so that convolution, the projection, the sum
        and the classifier fold into one c→1 3×3 and one c→1 1×1 for the skip; bilinear weights add up to
        one, so the maps of one channel are resized instead of those of `width` channels.
        """
        units = [cast(FeatureRefinementUnit, unit) for unit in self.refine]
        folded = FoldedFusion([unit.conv1.in_channels for unit in units])
        layers = zip(units, self.project, folded.inner, folded.outer, folded.skip, strict=True)
        with torch.no_grad():
            for unit, project, inner, outer, skip in layers:
                to_logit, bias = _to_logit(project, self.classify)
                inner.load_state_dict(unit.conv1.state_dict())
                _weight(outer).copy_(torch.einsum("oc,cihw->oihw", to_logit, unit.conv2.weight))
                bias_of(outer).copy_(to_logit @ bias_of(unit.conv2) + bias)
                _weight(skip).copy_(to_logit[:, :, None, None])
            bias_of(folded.outer[0]).add_(bias_of(self.classify))
        return folded.train(self.training)


class UnrefinedFusion(nn.Module):
    """Information fusion without the refinement units: project, resize to the finest, sum, 1×1 to logits."""

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        width = min(channels)
        self.project = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.classify = nn.Conv2d(width, 1, 1)

    def forward(self, stages: Sequence[torch.Tensor]) -> torch.Tensor:
        """Stages (N, C_i, H_i, W_i), finest first → logits (N, 1, H_0, W_0)."""
        return self.classify(_summed(stages, self.project))

    def fold(self) -> "ScoreSum":
        """The same function with fewer operations, for export: nothing in it is non-linear."""
        folded = ScoreSum([_weight(project).shape[1] for project in self.project])
        with torch.no_grad():
            for score, project in zip(folded.score, self.project, strict=True):
                to_logit, bias = _to_logit(project, self.classify)
                _weight(score).copy_(to_logit[:, :, None, None])
                bias_of(score).copy_(bias)
            bias_of(folded.score[0]).add_(bias_of(self.classify))
        return folded.train(self.training)


class ScoreSum(nn.Module):
    """A 1×1 score of each stage, resized to the finest and summed: what FCN's fusion is compared with."""

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        self.score = nn.ModuleList(nn.Conv2d(c, 1, 1) for c in channels)

    def forward(self, stages: Sequence[torch.Tensor]) -> torch.Tensor:
        """Stages (N, C_i, H_i, W_i), finest first → logits (N, 1, H_0, W_0)."""
        return _summed(stages, self.score)


# by what the network's spec says: the whole module, refined but in a plain sum, weighted but not refined
FUSIONS: dict[str, Callable[[Sequence[int]], nn.Module]] = {
    "full": InformationFusion,
    "sum": partial(InformationFusion, weighs=False),
    "weights": UnrefinedFusion,
}


def _summed(stages: Sequence[torch.Tensor], project: Iterable[nn.Module]) -> torch.Tensor:
    """The projected stages, resized to the first and summed."""
    total, *others = (layer(stage) for stage, layer in zip(stages, project, strict=True))
    for branch in others:
        total = total + resize_like(branch, total)
    return total


def _to_logit(project: nn.Module, classify: nn.Conv2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Projection and classifier as one: weights (1, C) and the projection's share of the bias (1,)."""
    weights = classify.weight.detach()[:, :, 0, 0]  # (1, width)
    return weights @ _weight(project)[:, :, 0, 0], weights @ bias_of(project)


def _weight(layer: nn.Module) -> torch.Tensor:
    return cast(torch.Tensor, layer.weight)


def folded(fusion: nn.Module) -> nn.Module:
    """The folded form of a fusion, for export; see `fold` of each."""
    return cast("InformationFusion | UnrefinedFusion", fusion).fold()


class FoldedFusion(nn.Module):
    """What `InformationFusion.fold` returns: a logit map per stage, resized to the finest and summed."""

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        self.inner = nn.ModuleList(nn.Conv2d(c, c, 3, padding=1) for c in channels)
        self.outer = nn.ModuleList(nn.Conv2d(c, 1, 3, padding=1) for c in channels)
        self.skip = nn.ModuleList(nn.Conv2d(c, 1, 1, bias=False) for c in channels)

    def forward(self, stages: Sequence[torch.Tensor]) -> torch.Tensor:
        """Stages (N, C_i, H_i, W_i), finest first → logits (N, 1, H_0, W_0)."""
        logits: torch.Tensor | None = None
        for stage, inner, outer, skip in zip(stages, self.inner, self.outer, self.skip, strict=True):
            stage_logits = outer(F.relu(inner(F.relu(stage)))) + skip(stage)
            logits = stage_logits if logits is None else logits + resize_like(stage_logits, logits)
        return cast(torch.Tensor, logits)
