"""Which cells a stage trains, in which order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtpolyp.errors import InputError
from train.experiment.start import Start
from train.generalise.cells import Cell
from train.generalise.hospitals import HOSPITALS, SEALED, fold_of
from train.generalise.ingredients import BASELINE, Ingredient, combined, ingredient
from train.networks import NetworkSpec
from train.recipe import Recipe, recipe_for

__all__ = ["FULL_FOLDS", "SCREEN_FOLDS", "Setup", "full_cells", "screen_cells"]

SCREEN_FOLDS = ("cvc-612", "bkai")
FULL_FOLDS = tuple(name for name in HOSPITALS if name != SEALED)
SCREEN = {"steps": 1200, "sizes": ((160, 1.0),), "validate_every": 300}
SCREENED_PARTS, ALL_PARTS = ("train", "val"), ("train", "val", "test")


@dataclass(frozen=True)
class Setup:
    """What the cells of a stage share."""

    data: Path  # holds the folders of hospitals.HOSPITALS
    spec: NetworkSpec
    start: Start
    overrides: dict[str, Any]  # fields of Recipe, the baseline's too
    teachers: tuple[str, ...] = ()  # labels, for what is taught

    def cells(
        self, stage: str, folds: Sequence[str], arms: dict[str, Ingredient], seeds: int, unseal: bool = False
    ) -> Iterator[Cell]:
        """Fold by fold and seed by seed, the arms in the order given."""
        if seeds < 1:
            raise InputError(f"seeds: {seeds} cannot work. Give 1 or more")
        shared = recipe_for(self.spec.name).changed(**(SCREEN if stage == "screen" else {}) | self.overrides)
        parts = SCREENED_PARTS if stage == "screen" else ALL_PARTS
        for fold in [fold_of(name, self.data, unseal=unseal) for name in folds]:
            for seed in range(shared.seed, shared.seed + seeds):
                for label, arm in arms.items():
                    recipe = shared.changed(**arm.changes, seed=seed)
                    self._check(label, arm, recipe)
                    yield Cell(
                        stage,
                        label,
                        fold,
                        parts,
                        self.spec,
                        recipe,
                        self.start,
                        arm,
                        self.teachers if arm.is_taught else (),
                    )

    def _check(self, label: str, arm: Ingredient, recipe: Recipe) -> None:
        """Raise InputError for what cannot work, which would show after hours of training."""
        if arm.is_taught and not self.teachers:
            raise InputError(f"{label}: learns from other cells. Name them: --teachers {BASELINE} …")
        if arm.looks and self.spec.name != "pranet-if":
            raise InputError(f"{label}: {self.spec.name} has no second look. Use --net pranet-if")
        if arm.mines and recipe.picture_crop:
            raise InputError(
                f"{label}: hard crops are parts of whole frames. Leave out picture-crop, or hard-crops"
            )


def screen_cells(setup: Setup, names: Sequence[str], folds: Sequence[str]) -> list[Cell]:
    """The baseline and each ingredient, one seed. Raises InputError for an unknown name or fold."""
    arms = {name: ingredient(name) for name in dict.fromkeys((BASELINE, *names))}
    return list(setup.cells("screen", folds, arms, seeds=1))


def full_cells(
    setup: Setup, recipes: Sequence[str], final: Sequence[str], folds: Sequence[str], seeds: int, unseal: bool
) -> list[Cell]:
    """The recipes "baseline" and "final", which is all ingredients of `final` together.

    Raises InputError for an unknown recipe, ingredient or fold, and for a final recipe of nothing.
    """
    if unknown := [name for name in recipes if name not in (BASELINE, "final")]:
        raise InputError(f"recipe {unknown[0]!r} is unknown; there are: {BASELINE}, final")
    if "final" in recipes and not final:
        raise InputError("recipe final: the screening kept nothing. Run screen, or name what --ingredient")
    arms = {name: combined(list(final) if name == "final" else []) for name in recipes}
    return list(setup.cells("full", folds, arms, seeds, unseal))
