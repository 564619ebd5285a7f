"""Settings: what may change while a stream runs, as one immutable snapshot."""

from dataclasses import dataclass
from typing import Literal, get_args

from rtpolyp.checks import require_bool, require_choice, require_number

__all__ = ["Settings", "Style"]

Style = Literal["outline", "fill", "box"]


@dataclass(frozen=True)
class Settings:
    """How probabilities become polyps and how polyps are drawn; swapped whole between two frames.

    Raises InputError where a field is not what its line says.
    """

    threshold: float  # probability in (0, 1) from which a pixel is polyp
    minimum_area: float  # fraction of the network's picture in [0, 1]; smaller components are dropped
    minimum_confidence: float  # mean probability in [0, 1]; weaker components are dropped
    style: Style = "outline"
    overlay: bool = True  # False leaves the picture untouched; results are still computed

    def __post_init__(self) -> None:
        probability = "a probability, e.g. 0.5"
        require_number("threshold", self.threshold, above=0, below=1, example=probability)
        require_number("minimum_area", self.minimum_area, least=0, most=1, example="a fraction, e.g. 0.001")
        require_number("minimum_confidence", self.minimum_confidence, least=0, most=1, example=probability)
        require_choice("style", self.style, get_args(Style))
        require_bool("overlay", self.overlay)
