"""One arithmetic for all cells, or what is compared would differ by it."""

import json
from dataclasses import asdict
from pathlib import Path

from rtpolyp.errors import InputError
from train.experiment.files import replace_text
from train.optimisation import Numerics

__all__ = ["keep_numerics", "kept_numerics"]


def kept_numerics(folder: Path, precision: str | None) -> Numerics | None:
    """What the first cell of a folder measured; None before.

    Raises InputError for a broken file, and where the precision is another one.
    """
    file = folder / "numerics.json"
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


def keep_numerics(numerics: Numerics, folder: Path) -> None:
    """Write them down for the next cell. Raises OutputError where the folder cannot be written."""
    replace_text(folder / "numerics.json", json.dumps(asdict(numerics)) + "\n")
