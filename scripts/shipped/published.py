"""Dice and frames per second on Kvasir-SEG as others published them, each with its source and hardware."""

from typing import NamedTuple

__all__ = ["BEST_ON_OUR_SPLIT", "PUBLISHED", "Level", "Published"]


class Published(NamedTuple):
    """One network in its authors' protocol: another split, another way to average, another machine."""

    name: str
    dice: float
    frames_per_second: float
    note: str  # hardware and source


class Level(NamedTuple):
    """A network whose Dice is known and whose speed is not."""

    name: str
    dice: float
    note: str


MSEG = (
    "RTX 2080 Ti, PraNet's split: Huang et al., arXiv:2101.07172, and its README "
    "(PraNet's own authors say about 50 frames/s)"
)
NEXT = "RTX 2080 Ti in the source's other tables, not said for these: README of github.com/Kevin0624/HarDNeXt"
DILATED = "RTX 3090, 880/120 split: README of github.com/nikhilroxtomar/DilatedSegNet"
COLON = "GPU not named in the abstract, 880/120 split: Jha et al., arXiv:2011.07631"

PUBLISHED = (
    Published("U-Net", 0.818, 11, MSEG),
    Published("U-Net++", 0.821, 25, MSEG),
    Published("PraNet", 0.898, 66, MSEG),
    Published("HarDNet-MSEG", 0.912, 88, MSEG),
    Published("HarDNeXt-MSEG", 0.913, 127, NEXT),
    Published("HarDNeXt-MSEG", 0.910, 150, NEXT),
    Published("DilatedSegNet", 0.90, 33.68, DILATED),
    Published("ColonSegNet", 0.8206, 182.38, COLON),
)

BEST_ON_OUR_SPLIT = Level("EffiSegNet-B5", 0.9488, "Vezakis et al., arXiv:2407.16298; speed not known here")
