"""Several trainings that go on from one network, and the mean of their weights."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from train.average import mean_of, score
from train.checkpoint import load_checkpoint, save_checkpoint
from train.data import Frames
from train.generalise.ingredients import BRANCHES
from train.recipe import Recipe

__all__ = ["train_branches"]

SEED_STEP = 100  # between the seeds of branches, so that none is another cell's


def train_branches(
    recipe: Recipe, folder: Path, train: Callable[[Recipe, Path], Any], held_out: Callable[[int], Frames]
) -> None:
    """Train BRANCHES in folders of `folder`, together as long as `recipe`, and write their mean's best.pt.

    `train` trains one recipe in one folder, `held_out` gives the validation frames at a side in pixels.
    Raises what `train` raises.
    """
    steps = max(1, recipe.steps // len(BRANCHES))
    for number, (name, changes) in enumerate(BRANCHES.items(), 1):
        seed = recipe.seed + SEED_STEP * number
        train(recipe.changed(**changes, steps=steps, seed=seed), folder / name)
    mean = mean_of({name: load_checkpoint(folder / name / "best.pt") for name in BRANCHES})
    result = score(mean, held_out(recipe.final_size))
    save_checkpoint(folder / "best.pt", replace(mean, best_dice=result.macro_dice))
