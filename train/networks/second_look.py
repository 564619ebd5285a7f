"""A second look at what a network outlines: is it a polyp?

A segmentation network is asked pixel by pixel, and its mean probability in an outline tells a polyp from
residue, a valve or a fold badly. Its features tell them apart far better, so a small network of one hidden
layer is fitted to whole outlines, once the large one is trained, by `train.second_look`. It reads the means
of the features inside the outline and of those around it: what a thing lies in says as much as what it shows.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from train.networks.layers import resize_like

__all__ = ["HIDDEN", "HIGHEST", "RING", "LooksTwice", "SecondLook", "mean_within"]

HIDDEN = 16  # units of the hidden layer
RING = 3  # cells of the first map, at stride 8: how far "around" reaches
WINDOW = 9  # cells that are averaged at once
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
        self.inside = nn.ModuleList(
            nn.Conv2d(each, HIDDEN, 1, bias=place == 0) for place, each in enumerate(channels)
        )
        self.around = nn.ModuleList(nn.Conv2d(each, HIDDEN, 1, bias=False) for each in channels)
        self.verdict = nn.Conv2d(HIDDEN, 1, 1)

    def put(self, first: nn.Linear, last: nn.Linear) -> None:
        """Take the layers of a network that reads the means (2 D) of all maps' channels one after another,
        those inside before those around: `first` gives HIDDEN units, `last` reads them."""
        inside, around = first.weight.split(sum(self.widths), dim=1)
        state: dict[str, torch.Tensor] = {"inside.0.bias": first.bias, "verdict.bias": last.bias}
        state["verdict.weight"] = last.weight[:, :, None, None]
        for name, weight in (("inside", inside), ("around", around)):
            for place, part in enumerate(weight.split(self.widths, dim=1)):
                state[f"{name}.{place}.weight"] = part[:, :, None, None]
        self.load_state_dict(state)

    def forward(self, logits: torch.Tensor, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Logits (N, 1, H, W) and features (N, C, h, w) of any strides, the finest first → the logits, scaled
        where they are above zero."""
        inside, around = (_summed(convs, features) for convs in (self.inside, self.around))
        cover = F.avg_pool2d((logits > 0.0).to(logits.dtype), logits.shape[-1] // inside.shape[-1])
        touched = (cover > 0.0).to(cover.dtype)
        near = F.max_pool2d(touched, 2 * RING + 1, 1, RING)
        hidden = mean_within(touched, cover, inside) + mean_within(near, near - cover, around)
        presence = torch.sigmoid(resize_like(self.verdict(F.relu(hidden)), logits))
        return logits.clamp(max=0.0) + logits.clamp(0.0, HIGHEST) * presence


class LooksTwice(nn.Module):
    """A network that can have a second look at what it outlines in evaluation; at first it has none."""

    second_look: SecondLook | None

    def evidence_channels(self) -> list[int]:
        """The widths of the features that `evidence` gives."""
        raise NotImplementedError

    def evidence(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Normalised RGB `images: (N, 3, H, W) float32` → the final logits at input size, without a second
        look, and the features that it reads, the finest first."""
        raise NotImplementedError

    def fold(self) -> None:
        """Replace what folds by its exact folded form, for export, in evaluation mode; trains no more."""
        raise NotImplementedError

    def add_second_look(self) -> SecondLook:
        """Have a second look, with weights of its own."""
        self.second_look = SecondLook(self.evidence_channels())
        return self.second_look

    def looked(self, images: torch.Tensor) -> torch.Tensor:
        """Images as for `evidence` → logits (N, 1, H, W), after the second look where there is one."""
        final, evidence = self.evidence(images)
        return self.second_look(final, evidence) if self.second_look else final


def mean_within(region: torch.Tensor, weight: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """The mean of `values: (N, C, h, w)`, by their `weight: (N, 1, h, w)`, over the part of the region
    (N, 1, h, w; 0 or 1) that a cell lies in or beside.

    Each round gives a cell the mean of the window around it; nothing passes between parts that lie further
    apart than half a window, and a part of more than ROUNDS windows has no single mean.
    """
    total, share = values * weight, weight
    reach = _window_mean(region).clamp(min=1e-3)  # a single cell in the window is 0.012
    for _ in range(ROUNDS):
        total, share = (_window_mean(region * one) / reach for one in (total, share))
    return total / share.clamp(min=1e-3)


def _window_mean(values: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(values, WINDOW, 1, WINDOW // 2)


def _summed(convs: nn.ModuleList, features: Sequence[torch.Tensor]) -> torch.Tensor:
    """The convolutions' sum at the first map's stride."""
    first, *others = (conv(x) for conv, x in zip(convs, features, strict=True))
    summed: torch.Tensor = first + sum(resize_like(other, first) for other in others)
    return summed
