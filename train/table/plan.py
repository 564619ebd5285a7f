"""Which networks are trained on what, from which seeds, in which order."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rtpolyp.errors import InputError
from train.data import Source
from train.initial import backbone_weights_for
from train.networks import OWN_ENCODED, NetworkSpec
from train.networks.own_encoder import OWN
from train.recipe import Recipe, recipe_for
from train.table.paper import ROWS

__all__ = ["Cell", "Start", "arms_of", "plan", "recipe_as_json"]


@dataclass(frozen=True)
class Start:
    """What the weights of a cell begin with."""

    random: bool = False  # the encoder too
    backbone_weights: str | None = None  # a path, or "imagenet"; None: beside the data, else a package's
    init: Path | None = None  # a folder that holds NETWORK/best.pt for each

    def pretrained(self, spec: NetworkSpec, sources: Sequence[Source]) -> bool | Path | str:
        """What `create_network` takes."""
        if self.random or spec.encoder == OWN:
            return False
        return backbone_weights_for(spec, sources, self.backbone_weights)

    def init_of(self, spec: NetworkSpec) -> str | None:
        """What `fit` takes."""
        return str(self.init / spec.name / "best.pt") if self.init else None

    def name(self, spec: NetworkSpec) -> str:
        """Of the initialisation, as the table calls it: extra, random or ImageNet."""
        if self.init:
            return "extra"
        return "random" if self.random or spec.encoder == OWN else "ImageNet"


@dataclass(frozen=True)
class Cell:
    """One training: which network learns what, from which seed."""

    protocol: str  # key of PROTOCOLS
    row: str  # key of ROWS
    arm: str  # of ARMS
    spec: NetworkSpec
    recipe: Recipe  # with the cell's seed
    sources: tuple[Source, ...]  # trained on together; each is scored on its own test part
    start: Start

    @property
    def name(self) -> str:
        """Its folder's path in the table's."""
        data = "+".join(source.name.replace(":", ".") for source in self.sources)
        network = f"{self.spec.name}.{self.spec.encoder}.{self.start.name(self.spec)}"
        return f"{data}/{network}/seed{self.recipe.seed}"


def recipe_as_json(recipe: Recipe) -> dict[str, Any]:
    """The recipe as it comes back from a JSON file: its tuples are lists."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    return plain


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


def plan(
    protocol: str,
    rows: Sequence[str],
    encoder: str | None,
    trainings: Sequence[tuple[Source, ...]],
    seeds: int,
    start: Start,
    recipe: str,
    overrides: dict[str, Any],
) -> Iterator[Cell]:
    """The cells in the order of their training: by data, then seed by seed, so that pairs are complete early.

    Both arms of a row share one recipe, `recipe` with `overrides`, whose seed is the first. Raises InputError
    for an unknown row or recipe and for values that cannot work.
    """
    if unknown := [row for row in rows if row not in ROWS]:
        raise InputError(
            f"network {unknown[0]!r} is no row; there are: {', '.join(ROWS)}, each with and without IF"
        )
    if seeds < 1:
        raise InputError(f"seeds: {seeds} cannot work. Give 1 or more")
    for sources in trainings:
        for index in range(seeds):
            for row in rows:
                is_light = row in OWN_ENCODED and encoder not in (None, OWN, "paper")
                shared = recipe_for(row, recipe, light=is_light).changed(**overrides)
                shared = replace(shared, seed=shared.seed + index)
                for arm, spec in arms_of(row, encoder).items():
                    yield Cell(protocol, row, arm, spec, shared, sources, start)
