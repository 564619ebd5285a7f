"""One arithmetic for all cells, or what is compared would differ by it."""

import json
from dataclasses import asdict
from pathlib import Path

from rtpolyp.errors import InputError
from train.experiment.files import replace_text
from train.experiment.lock import held
from train.optimisation import Numerics

__all__ = ["agree_on", "kept_numerics"]

FILE = "numerics.json"


def kept_numerics(folder: Path, precision: str | None) -> Numerics | None:
    """What the cells of a folder have agreed on; None before the first of them.

    Raises InputError for a broken file, and where the precision is another one.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        numerics = Numerics(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError) as exc:
        raise InputError(
            f"{file}: not the numerics of its cells ({exc}). Copy them from a cell.json"
        ) from exc
    if precision not in (None, numerics.precision):
        raise InputError(f"{file}: its cells are in {numerics.precision}, not {precision}. Give another -o")
    return numerics


def agree_on(numerics: Numerics, folder: Path) -> Numerics:
    """What the cells of a folder have agreed on: these numerics, unless another worker was first.

    Raises OutputError where the folder cannot be written, and InputError for a broken file.
    """
    with held(folder / f"{FILE}.lock"):
        kept = kept_numerics(folder, None)
        if kept is None:
            replace_text(folder / FILE, json.dumps(asdict(numerics)) + "\n")
        return kept or numerics
