"""What the weights of a cell begin with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from train.data import Source
from train.initial import backbone_weights_for
from train.networks import NetworkSpec
from train.networks.own_encoder import OWN

__all__ = ["Start"]


@dataclass(frozen=True)
class Start:
    """What the weights of a cell begin with."""

    random: bool = False  # the encoder too
    backbone_weights: str | None = None  # a path, or "imagenet"; None: beside the data, else a package's
    init: Path | None = None  # a folder that holds NETWORK/best.pt for each

    def pretrained(self, spec: NetworkSpec, sources: Sequence[Source]) -> bool | Path | Literal["imagenet"]:
        """What `create_network` takes."""
        if self.random or spec.encoder == OWN:
            return False
        return backbone_weights_for(spec, sources, self.backbone_weights)

    def init_of(self, spec: NetworkSpec) -> str | None:
        """What `fit` takes."""
        return str(self.init / spec.name / "best.pt") if self.init else None

    def name(self, spec: NetworkSpec) -> str:
        """The name of the initialisation, as the table has it: extra, random or ImageNet."""
        if self.init:
            return "extra"
        return "random" if self.random or spec.encoder == OWN else "ImageNet"
