"""What may be added to the baseline, each a change of the recipe that can be tried alone.

The baseline is the recipe of the first shipped network (`train.recipe.OURS`: sources by the square root of
their frames, 9 % polyp-free crops), without the normal frames of Kvasir's hospital. Several changes of one
field exclude each other.
"""

from dataclasses import dataclass, field, fields
from typing import Any

from rtpolyp.checks import known_names
from rtpolyp.errors import InputError

__all__ = ["BASELINE", "BRANCHES", "FLAGS", "INGREDIENTS", "Ingredient", "combined", "ingredient"]

BASELINE = "baseline"


@dataclass(frozen=True)
class Ingredient:
    """One change, or several that were combined."""

    changes: dict[str, Any] = field(default_factory=dict)  # fields of Recipe
    mines: bool = False  # trains on crops that the baseline's network of the same fold and seed fell for
    is_taught: bool = False  # learns from networks of the same fold and seed
    branches: bool = False  # the mean of BRANCHES, which begin with that network of the baseline's
    normal: bool = False  # trains on the fold's normal frames, too
    looks: bool = False  # has a second look at what the network outlines, once that is trained


FLAGS = tuple(one.name for one in fields(Ingredient) if one.name != "changes")  # all but the fields of Recipe

SECOND_TRAINING = {
    "interlace": 0.15, "noise": 0.35, "blur": 0.3, "jpeg": 0.3, "hue_degrees": 12.0,
    "saturation": 0.35, "brightness": 0.3, "contrast": 0.3,
}  # fmt: skip
GENTLE = SECOND_TRAINING | {"lr_encoder": 2e-4, "lr_decoder": 8e-4}
BRANCHES = {  # of the shipped network, each with an emphasis of its own
    "colours": GENTLE | {"transfer": 0.25},
    "polyp-free": GENTLE | {"polyp_free_crops": 0.2},
}
NEGATIVES = {"polyp_free_frames": 0.15}
ONTO_NEGATIVES = NEGATIVES | {"copy_paste": 0.09, "copy_paste_onto": 0.8}
BOXES = NEGATIVES | {"paint_box": 0.3, "remove_box": 0.5}
INGREDIENTS = {
    "share-uniform": Ingredient({"sampling": "uniform"}),
    "share-equal": Ingredient({"sampling": "equal"}),
    "polyp-free-20": Ingredient({"polyp_free_crops": 0.2}),
    "transfer": Ingredient({"transfer": 0.25}),
    "picture-crop": Ingredient({"picture_crop": True}),
    "borders-text": Ingredient({"borders": 0.2, "text": 0.3}),
    "wide-geometry": Ingredient({"zoom": (0.5, 1.6), "rotation_degrees": 180.0}),
    "copy-paste": Ingredient({"copy_paste": 0.125}),
    "copy-paste-same": Ingredient({"copy_paste": 0.125, "copy_paste_from": "same"}),
    "distillation": Ingredient(is_taught=True),
    "hard-crops": Ingredient(mines=True),
    "hue": Ingredient({"hue_degrees": 14.4}),  # 0.04 of the circle
    "motion-blur": Ingredient({"motion_blur": 0.2}),
    "structure-loss": Ingredient({"loss": "structure"}),
    "second-training": Ingredient(SECOND_TRAINING),  # what the shipped network's second one changed
    "branches": Ingredient(branches=True),  # twice the baseline's steps, its own included
    "negatives-10": Ingredient({"polyp_free_frames": 0.1}, normal=True),
    "negatives-20": Ingredient({"polyp_free_frames": 0.2}, normal=True),
    "negatives-30": Ingredient({"polyp_free_frames": 0.3}, normal=True),
    "onto-negatives": Ingredient(ONTO_NEGATIVES, normal=True),
    "patches": Ingredient(NEGATIVES | {"patches": 0.15}, normal=True),
    "boxes": Ingredient(BOXES, normal=True),
    "quiet": Ingredient(ONTO_NEGATIVES | BOXES, normal=True),  # as `quiet` was, see docs/training.md
    "second-look": Ingredient(looks=True),
}


def ingredient(name: str) -> Ingredient:
    """Find an ingredient by its name; the baseline changes nothing. Raises InputError for an unknown one."""
    if name == BASELINE:
        return Ingredient()
    if name not in INGREDIENTS:
        raise InputError(f"ingredient {name!r} is unknown; {known_names(name, INGREDIENTS)}")
    return INGREDIENTS[name]


def combined(names: list[str]) -> Ingredient:
    """All of them at once; of two that change one field, the later decides."""
    parts = [ingredient(name) for name in names]
    changes = {key: value for part in parts for key, value in part.changes.items()}
    return Ingredient(changes, **{name: any(getattr(part, name) for part in parts) for name in FLAGS})
