"""An ensemble: the mean of the logits of networks that were trained apart.

Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles", NeurIPS
2017, arXiv:1612.01474.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from rtpolyp.errors import InputError
from train.encoders.encoder import Encoder, encoder_of
from train.networks.second_look import LooksTwice

__all__ = ["Ensemble"]


class Ensemble(LooksTwice):
    """The mean of its members' logits, at which a second look may look with the features of the first.

    The members take images of the same normalisation. An ensemble is evaluated, not trained.
    """

    def __init__(self, members: Sequence[LooksTwice]):
        super().__init__()
        self.first, *others = members
        self.others = nn.ModuleList(others)
        self.second_look = None

    @property
    def encoder(self) -> Encoder:
        """That of the first member."""
        return encoder_of(self.first)

    def evidence_channels(self) -> list[int]:
        """Those of the first member."""
        return self.first.evidence_channels()

    def evidence(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """See the base class; the features are the first member's."""
        total, features = self.first.evidence(images)
        for other in self._others():
            total = total + other.evidence(images)[0]
        return total / (1 + len(self.others)), features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised RGB `images: (N, 3, H, W) float32` → logits (N, 1, H, W) at input size."""
        if self.training:
            raise InputError(
                "an ensemble is not trained. Train its members; train.second_look --beside joins them"
            )
        return self.looked(images)

    def fold(self) -> None:
        """As each member does."""
        for member in (self.first, *self._others()):
            member.fold()

    def _others(self) -> list[LooksTwice]:
        return cast(list[LooksTwice], list(self.others))
