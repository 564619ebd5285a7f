"""Settings: what may change while a stream runs, as one immutable snapshot."""

from dataclasses import dataclass
from typing import Literal, get_args

from rtpolyp.errors import InputError

__all__ = ["Settings", "Style"]

Style = Literal["outline", "fill", "box"]


@dataclass(frozen=True)
class Settings:
    """How probabilities become polyps and how polyps are drawn; swapped whole between two frames."""

    threshold: float  # probability in (0, 1) from which a pixel is polyp
    minimum_area: float  # fraction of the network's picture; smaller components are dropped
    minimum_confidence: float  # mean probability in [0, 1]; weaker components are dropped
    style: Style = "outline"
    overlay: bool = True  # False leaves the picture untouched; results are still computed

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold < 1.0:
            raise InputError(
                f" {self.threshold:g} is outside (0, 1): give a probability, e.g. 0.5", parameter="threshold"
            )
        if self.style not in get_args(Style):
            known = ", ".join(get_args(Style))
            raise InputError(f" {self.style!r} is unknown; there are: {known}", parameter="style")
