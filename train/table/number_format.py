"""One number format for all cells that are compared: those of one test part and one seed."""

import functools
from dataclasses import replace
from pathlib import Path

from rtpolyp.errors import InputError
from rtpolyp.inference.processor import this_processor
from train.experiment.files import read_json
from train.experiment.numerics import kept_numerics
from train.optimisation import Numerics
from train.table.cells import SCHEMA, Cell

__all__ = ["FLOAT32", "begun_in", "finished_format", "has_bfloat16", "is_fast_here", "numerics_of"]

FLOAT32 = Numerics(channels_last=True, bfloat16=False)
BFLOAT16 = replace(FLOAT32, bfloat16=True)


@functools.cache
def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16; AVX2 alone takes ten times as long as in float32."""
    return "avx512_bf16" in this_processor().flags


def is_fast_here(numerics: Numerics) -> bool:
    """Whether this processor has the arithmetic of a number format."""
    return not numerics.bfloat16 or has_bfloat16()


def begun_in(runs: Path, cell: Cell) -> Path:
    """The folder in which the cells of one test part and seed agree on a number format as they begin."""
    test, _, seed = cell.name.split("/")
    return runs / test / seed


def numerics_of(cell: Cell, results: Path, runs: Path) -> Numerics:
    """The number format of a cell: that of what is finished of its test part and seed, else of what is begun,
    else this processor's.

    Raises what `finished_format` raises.
    """
    known = finished_format(cell, results) or kept_numerics(begun_in(runs, cell), None)
    return known or (BFLOAT16 if has_bfloat16() else FLOAT32)


def finished_format(cell: Cell, results: Path) -> Numerics | None:
    """The number format of what is finished of the cell's test part and seed; None before.

    Raises InputError where these differ.
    """
    test, _, seed = cell.name.split("/")
    finished = sorted(results.glob(f"{test}/*/{seed}/cell.json"))
    formats = {
        Numerics(**read_json(file, SCHEMA, "the scores of a cell")["numerics"]): file for file in finished
    }
    if len(formats) > 1:
        first, second, *_ = formats.values()
        raise InputError(
            f"{second}: its number format is not that of {first}, and the two are compared. "
            "Train one of them again"
        )
    return next(iter(formats), None)
