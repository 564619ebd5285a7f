"""How a network is trained: one frozen dataclass, every field a command line option."""

from dataclasses import dataclass, field
from typing import Any

from rtpolyp.errors import InputError
from train.losses import LOSSES

__all__ = ["RECIPES", "SAMPLINGS", "Recipe", "recipe_for"]

SAMPLINGS = ("uniform", "square-root", "equal")


def option(default: Any, meaning: str) -> Any:
    """A field whose comment is also its help on the command line."""
    return field(default=default, metadata={"help": meaning})


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights beside the data; stored in every checkpoint.

    Raises InputError for values that cannot work.
    """

    steps: int = option(4000, "optimiser steps in all")
    batch: int = option(16, "images a step")
    sizes: tuple[tuple[int, float], ...] = option(
        ((192, 0.75), (256, 0.25)), "progressive image size: pairs of side in pixels and share of the steps"
    )
    seed: int = option(0, "decides initial weights, sampling and augmentation")
    sampling: str = option(
        "square-root", f"how often a source is drawn by its frames: {', '.join(SAMPLINGS)}"
    )

    loss: str = option("bce-dice", f"on every head: {', '.join(LOSSES)}")
    lr_encoder: float = option(5e-4, "peak learning rate of the pretrained encoder")
    lr_decoder: float = option(2e-3, "peak learning rate of everything else")
    warmup: float = option(0.1, "share of the steps until the one-cycle peak")
    weight_decay: float = option(1e-2, "AdamW's, on weights but not on biases and norms")
    clip: float = option(1.0, "largest gradient norm")
    ema: float = option(0.998, "decay of the averaged weights that are validated and shipped")

    polyp_free_frames: float = option(0.03, "share of a batch from true negatives, where the data has any")
    polyp_free_crops: float = option(0.09, "share of polyp-free crops; as many positives share their zoom")
    crop_zoom: float = option(2.5, "largest zoom of a polyp-free crop and of its matched positive")
    zoom: tuple[float, float] = option((0.7, 1.4), "range of the other images' zoom")
    stretch: float = option(0.1, "aspect ratio is varied by up to this, as a natural logarithm")
    rotation_degrees: float = option(20.0, "around a random quarter turn, either way")
    brightness: float = option(0.25, "gain varies by up to this")
    contrast: float = option(0.25, "contrast varies by up to this")
    saturation: float = option(0.25, "saturation varies by up to this")
    hue_degrees: float = option(9.0, "rotation of the hue, either way")
    blur: float = option(0.2, "probability of a Gaussian blur of σ 0.4–1.6 pixels")
    noise: float = option(0.2, "probability of Gaussian noise of σ 1–10 grey levels")
    jpeg: float = option(0.25, "probability of JPEG quantisation at quality 25–90")

    validate_every: int = option(400, "steps between validations of the averaged weights")

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise InputError(f"loss {self.loss!r} is unknown; there are: {', '.join(LOSSES)}")
        if self.sampling not in SAMPLINGS:
            raise InputError(f"sampling {self.sampling!r} is unknown; there are: {', '.join(SAMPLINGS)}")
        for side, _ in self.sizes:
            if side <= 0 or side % 32:
                raise InputError(f"sizes: {side} is not a multiple of 32. Give e.g. 192 or 256")
        if abs(sum(share for _, share in self.sizes) - 1) > 1e-6:
            raise InputError(f"sizes: the shares {[share for _, share in self.sizes]} must add up to 1")
        for name in ("steps", "batch", "validate_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: {getattr(self, name)} must be at least 1")

    def size_at(self, step: int) -> int:
        """Side in pixels of the images of `step` (0-based)."""
        passed = 0.0
        for side, share in self.sizes:
            passed += share * self.steps
            if step < round(passed):
                return side
        return self.sizes[-1][0]


RECIPES = {
    "pranet": Recipe(),
    "pranet-if": Recipe(),
}


def recipe_for(network: str) -> Recipe:
    """The network's own recipe. Raises InputError for an unknown network."""
    if network not in RECIPES:
        raise InputError(f"network {network!r} has no recipe; there are: {', '.join(RECIPES)}")
    return RECIPES[network]
