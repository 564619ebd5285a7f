"""Which networks are trained on what, from which seeds, in which order."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rtpolyp.checks import known_names
from rtpolyp.errors import InputError
from train.data import Source
from train.experiment.start import Start
from train.networks import OWN_ENCODED, NetworkSpec
from train.networks.own_encoder import OWN
from train.recipe import RecipeChoice
from train.table.cells import Cell
from train.table.paper import ROWS

__all__ = ["ablations_of", "arms_of", "plan"]


def arms_of(row: str, encoder: str | None) -> dict[str, NetworkSpec]:
    """The two networks of a row, which share one trunk and differ by the fusion alone.

    FCN's plain arm has 1×1 scores and a sum in place of fc6 and fc7; PraNet's fusion reads strides 8, 16 and
    32, as its reverse attention does. `encoder` "paper" is the row's own; None is the network's default.
    """
    if encoder == "paper":
        encoder = ROWS[row].encoder
    return {
        "plain": NetworkSpec(row, encoder, head="conv" if row == "fcn" else None),
        "IF": NetworkSpec(f"{row}-if", encoder, stride4=False if row == "pranet" else None),
    }


def ablations_of(row: str, encoder: str) -> dict[str, NetworkSpec]:
    """Three arms more of U-Net and PraNet: what of the fusion helps, or whether its parameters alone do.

    The refined stages in a plain sum, the stages weighted without refinement, and a plain decoder that is as
    wide as the fusion has parameters.
    """
    arms = arms_of(row, encoder)
    return {
        name: replace(arms["plain" if name == "wide" else "IF"], ablation=name)
        for name in ("sum", "weights", "wide")
    }


def plan(
    protocol: str,
    rows: Sequence[str],
    encoder: str | None,
    trainings: Sequence[tuple[Source, ...]],
    seeds: int,
    start: Start,
    recipe: RecipeChoice,
) -> Iterator[Cell]:
    """The cells in the order of their training: by data, then seed by seed, so that pairs are complete early.

    Both arms of a row share one recipe, whose seed is the first. Raises InputError
    for an unknown row or recipe and for values that cannot work.
    """
    if unknown := [row for row in rows if row not in ROWS]:
        raise InputError(
            f"network {unknown[0]!r} is no row; {known_names(unknown[0], ROWS)}, each with and without IF"
        )
    if seeds < 1:
        raise InputError(f"seeds: {seeds} cannot work. Give 1 or more")
    for sources in trainings:
        for index in range(seeds):
            for row in rows:
                is_light = row in OWN_ENCODED and encoder not in (None, OWN, "paper")
                shared = recipe.of(row, light=is_light)
                shared = replace(shared, seed=shared.seed + index)
                for arm, spec in arms_of(row, encoder).items():
                    yield Cell(protocol, row, arm, spec, shared, sources, start)
