"""How a network is trained: one frozen dataclass, every field a command line option."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from rtpolyp.checks import known_names, require_choice
from rtpolyp.errors import InputError
from train.losses import LOSSES

__all__ = ["OPTIMISERS", "RECIPES", "Recipe", "RecipeChoice", "recipe_for"]

SAMPLINGS = ("uniform", "square-root", "equal")
DONORS = ("any", "same")
OPTIMISERS = ("adamw", "adam", "nadam", "sgd")
SCHEDULES = ("one-cycle", "cosine", "constant")
SIDE_STEP = 32  # every side is a multiple of the coarsest features' stride


def number(default: Any, meaning: str, low: float = 0.0, high: float = math.inf) -> Any:
    """A number, or several, from `low` to `high`; `meaning` is its help on the command line."""
    return field(default=default, metadata={"help": meaning, "range": (low, high)})


def choice(default: str, meaning: str, choices: Iterable[str]) -> Any:
    """One of a few names."""
    choices = tuple(choices)
    return field(default=default, metadata={"help": f"{meaning}: {', '.join(choices)}", "choices": choices})


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights beside the data; stored in every checkpoint.

    Raises InputError for values that cannot work.
    """

    steps: int = number(4000, "optimiser steps in all")
    epochs: float = number(0, "in place of steps: passes of as many images as there are training frames")
    batch: int = number(16, "images a step; batch norm needs two", low=2)
    sizes: tuple[tuple[int, float], ...] = field(
        default=((192, 0.75), (256, 0.25)),
        metadata={"help": "progressive image size: pairs of side in pixels and share of the steps"},
    )
    picture_crop: bool = field(
        default=False, metadata={"help": "frames are cropped to the endoscope's picture, as a stream is"}
    )
    scales: tuple[float, ...] = number(
        (1.0,), "each batch is trained on at these shares of its size, a step each", low=0.1, high=4
    )
    seed: int = number(0, "decides initial weights, sampling and augmentation")
    sampling: str = choice("square-root", "how often a source is drawn by its frames", SAMPLINGS)

    loss: str = choice("bce-dice", "on every head", LOSSES)
    distil: float = number(0.5, "share of the teachers' masks in the loss, where there are teachers", high=1)
    optimiser: str = choice("adamw", "what moves the weights", OPTIMISERS)
    momentum: float = number(0.9, "of sgd; the others keep their published ones", high=0.999)
    lr_encoder: float = number(5e-4, "peak learning rate of the pretrained encoder")
    lr_decoder: float = number(2e-3, "peak learning rate of everything else")
    schedule: str = choice("one-cycle", "how the learning rate moves with the step", SCHEDULES)
    warmup: float = number(0.1, "share of the steps until the one-cycle peak", high=1)
    lr_floor: float = number(1e-3, "share of the peak that the learning rate does not fall below", high=1)
    plateau_patience: int = number(0, "validations without a better one until the rate falls; 0 = off")
    plateau_factor: float = number(0.1, "what the rate is multiplied with then", low=1e-6, high=1)
    patience: int = number(0, "validations without a better one until the run ends; 0 = off")
    weight_decay: float = number(
        1e-2, "on weights but not on biases and norms; decoupled in adamw, part of the gradient elsewhere"
    )
    clip: float = number(1.0, "largest gradient norm; 0 = off")
    clip_value: float = number(0.0, "largest absolute value in a gradient; 0 = off")
    ema: float = number(0.998, "decay of the averaged weights that are validated and shipped", high=1)

    polyp_free_frames: float = number(
        0.03, "share of a batch from true negatives, where the data has any", high=0.9
    )
    polyp_free_crops: float = number(
        0.09, "share of polyp-free crops; as many positives share their zoom", high=0.5
    )
    crop_zoom: float = number(
        2.5, "largest zoom of a polyp-free crop and of its matched positive", low=1, high=10
    )
    hard_crops: float = number(
        0.5, "share of the polyp-free crops from --hard-crop-list, where there is one", high=1
    )
    copy_paste: float = number(
        0, "share of a batch: polyp-free crops that get another crop's polyp", high=0.5
    )
    copy_paste_from: str = choice("any", "source of that polyp against the crop's", DONORS)
    copy_paste_onto: float = number(
        0, "share of these that are true negatives in place of polyp-free crops", high=1
    )
    patches: float = number(
        0, "probability that a frame with a polyp gets a patch of a true negative beside it", high=1
    )
    paint_box: float = number(
        0, "probability of a black position box in the lower left of a frame with a polyp", high=1
    )
    remove_box: float = number(
        0, "probability that a true negative's box is cropped away or filled, half each", high=1
    )
    flip: float = number(0.5, "probability of a mirror image", high=1)
    quarter_turns: int = number(3, "an image is turned by up to so many right angles", high=3)
    shift: float = number(0.1, "an image moves up to this beyond its border, in half sides", high=1)
    zoom: tuple[float, float] = number((0.7, 1.4), "range of the other images' zoom", low=0.1, high=10)
    stretch: float = number(0.1, "aspect ratio is varied by up to this, as a natural logarithm", high=1)
    rotation_degrees: float = number(20.0, "around the quarter turn, either way", high=180)
    borders: float = number(0, "probability of a black border, round or nearly square", high=1)
    text: float = number(0, "probability of boxes and lines of text along the sides", high=1)
    transfer: float = number(0, "probability of another source's colour statistics (LAB)", high=1)
    brightness: float = number(0.25, "gain varies by up to this", high=1)
    contrast: float = number(0.25, "contrast varies by up to this", high=1)
    saturation: float = number(0.25, "saturation varies by up to this", high=1)
    hue_degrees: float = number(9.0, "rotation of the hue, either way", high=180)
    interlace: float = number(0.0, "probability of two fields of a moving picture in one frame", high=1)
    motion_blur: float = number(0, "probability of a straight smear of 3–11 pixels", high=1)
    blur: float = number(0.2, "probability of a Gaussian blur of σ 0.4–1.6 pixels", high=1)
    noise: float = number(0.2, "probability of Gaussian noise of σ 1–10 grey levels", high=1)
    jpeg: float = number(0.25, "probability of JPEG quantisation at quality 25–90", high=1)

    validate_every: int = number(400, "steps between validations of the averaged weights", low=1)

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if "choices" in option.metadata:
                require_choice(option.name, value, option.metadata["choices"])
            elif "range" in option.metadata:
                for one in value if isinstance(value, tuple) else (value,):
                    _check_range(option.name, one, *option.metadata["range"])
        if not self.steps and not self.epochs:
            raise InputError(": 0 cannot work. Give 1 or more, or epochs", parameter="steps")
        if self.steps and self.epochs:
            raise InputError(
                f": {self.steps} and {self.epochs:g} epochs: give one, 0 for the other", parameter="steps"
            )
        if not self.scales:
            raise InputError(": none given. Give 1 for the batch as it is", parameter="scales")
        if self.zoom[0] > self.zoom[1]:
            raise InputError(
                f": {self.zoom[0]} to {self.zoom[1]} is no range. Give the smaller first", parameter="zoom"
            )
        for side, share in self.sizes:
            if side <= 0 or side % SIDE_STEP:
                raise InputError(f": {side} is not a multiple of 32. Give e.g. 192 or 256", parameter="sizes")
            _check_range("sizes", share, 0, 1)
        shares = [share for _, share in self.sizes]
        if not math.isclose(sum(shares), 1, abs_tol=1e-6):
            raise InputError(f": the shares {shares} must add up to 1", parameter="sizes")

    def changed(self, **values: Any) -> "Recipe":
        """The same with other values; `steps` takes the place of `epochs`, and the other way round."""
        for one, other in (("steps", "epochs"), ("epochs", "steps")):
            if one in values:
                values.setdefault(other, 0)
        return replace(self, **values)

    def for_frames(self, count: int) -> "Recipe":
        """The same with its epochs, if any, as steps, for a training set of `count` frames.

        An epoch draws as many images as there are frames, in whole batches, and takes a step at every scale.
        """
        if not self.epochs:
            return self
        epoch = math.ceil(count / self.batch) * len(self.scales)
        return self.changed(steps=max(1, round(self.epochs * epoch)))

    def size_at(self, step: int) -> int:
        """Side in pixels of the network's input at `step` (0-based)."""
        scale = self.scales[step % len(self.scales)]
        return max(1, round(scale * self.drawn_size_at(step) / SIDE_STEP)) * SIDE_STEP

    def drawn_size_at(self, step: int) -> int:
        """Side in pixels of the batch of `step` (0-based) before it is scaled."""
        step -= step % len(self.scales)
        passed = 0.0
        for side, share in self.sizes:
            passed += share * self.steps
            if step < round(passed):
                return side
        return self.final_size

    @property
    def final_size(self) -> int:
        """Side in pixels of the last batches, at which it is validated."""
        return self.sizes[-1][0]


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not (low <= value <= high and math.isfinite(value)):
        allowed = f"{low:g} or more" if math.isinf(high) else f"{low:g} to {high:g}"
        raise InputError(f": {value} cannot work. Give {allowed}", parameter=name)


# Ours. An encoder that is part of its network has no ImageNet weights and learns as fast as the rest. Tuned
# for the two PraNets alone.
OURS = Recipe()
FROM_SCRATCH = Recipe(lr_encoder=2e-3)

# What no author states, and we leave out of theirs: weights by source, averaging, degradation, clipping.
PLAIN = Recipe(
    steps=0, epochs=100, sizes=((352, 1.0),), sampling="uniform", weight_decay=0, clip=0, ema=0,
    polyp_free_crops=0, zoom=(1.0, 1.0), shift=0, stretch=0, blur=0, noise=0, jpeg=0,
)  # fmt: skip
# "Information Fusion …" for networks without a recipe of their own; side, momentum and the ranges of flip,
# crop, rotation and colour are not stated there.
PAPER = replace(
    PLAIN, loss="cross-entropy", optimiser="sgd", lr_encoder=1e-2, lr_decoder=1e-2, schedule="cosine",
    lr_floor=0, zoom=(1.0, 1.4),
)  # fmt: skip
# The PyTorch port 4uiiurz1/pytorch-nested-unet with the authors' loss; the authors take Adam.
UNETPP = replace(
    PLAIN, loss="bce-dice-unetpp", optimiser="sgd", lr_encoder=1e-3, lr_decoder=1e-3, schedule="cosine",
    lr_floor=1e-2, weight_decay=1e-4, rotation_degrees=0,
)  # fmt: skip
# DebeshJha/ResUNetPlusPlus. Its epoch holds 31 stored variants of each frame, grey ones and ones with a hole
# among them; here flips, crops, turns and colours are drawn anew each time. So our epoch is 31 times shorter,
# and with a validation in each the patience would end the run in its first noise.
RESUNETPP = replace(
    PLAIN, epochs=200, batch=8, sizes=((256, 1.0),), loss="dice", optimiser="nadam", lr_encoder=1e-4,
    lr_decoder=1e-4, schedule="constant", lr_floor=1e-2, plateau_patience=5, plateau_factor=0.1, patience=10,
    zoom=(1.0, 1.4), validate_every=500,
)  # fmt: skip
# DengPingFan/PraNet, as the article describes the loss. Its rate falls after 50 epochs, so never in 19.
PRANET = replace(
    PLAIN, epochs=19, scales=(0.75, 1.0, 1.25), loss="structure", optimiser="adam", lr_encoder=1e-4,
    lr_decoder=1e-4, schedule="constant", clip_value=0.5, flip=0, quarter_turns=0, rotation_degrees=0,
    brightness=0, contrast=0, saturation=0, hue_degrees=0,
)  # fmt: skip

# A network and its twin with information fusion share theirs, so that the module alone differs.
RECIPES = {
    "ours": {"pranet": OURS, "fcn": OURS, **dict.fromkeys(("unet", "unetpp", "resunetpp"), FROM_SCRATCH)},
    "author": {"pranet": PRANET, "fcn": PAPER, "unet": PAPER, "unetpp": UNETPP, "resunetpp": RESUNETPP},
}


def recipe_for(network: str, whose: str = "ours", *, light: bool = False) -> Recipe:
    """The network's recipe, "ours" or its "author"'s. Raises InputError for an unknown one of both.

    `light` says that a light encoder takes the place of the network's own: ours then treats it as pretrained.
    """
    require_choice("recipe", whose, tuple(RECIPES))
    plain = network.removesuffix("-if")
    if plain not in RECIPES[whose]:
        known = [f"{name}{twin}" for name in RECIPES[whose] for twin in ("", "-if")]
        raise InputError(f"network {network!r} has no recipe; {known_names(network, known)}")
    return OURS if light and whose == "ours" else RECIPES[whose][plain]


@dataclass(frozen=True)
class RecipeChoice:
    """A kind of recipe, and what is changed in it, for whichever network."""

    name: str = "ours"  # or "author"
    changes: Mapping[str, Any] = field(default_factory=dict)  # fields of Recipe

    def of(self, network: str, *, light: bool) -> Recipe:
        """The recipe of a network, see `recipe_for`; raises InputError for an unknown name or value."""
        return recipe_for(network, self.name, light=light).changed(**self.changes)
