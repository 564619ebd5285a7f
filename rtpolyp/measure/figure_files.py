"""Files of figures: JSON, text and rows of CSV, with one line of an error where one cannot be written."""

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rtpolyp.errors import OutputError
from rtpolyp.printable import as_cell

__all__ = ["append_row", "attempt", "write_json", "write_text"]


def append_row(row: Mapping[str, object], path: Path) -> None:
    """Add a row to a CSV file, which begins with the row's keys; texts are no formulas in it.

    Raises OutputError when that fails.
    """
    cells = {name: _cell(value) for name, value in row.items()}

    def append(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if is_new:
                writer.writeheader()
            writer.writerow(cells)

    attempt(path, append)


def write_json(content: dict[str, Any], path: Path) -> None:
    """Write `content` as JSON; raises OutputError when the file cannot be written."""
    write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Write `text` in UTF-8; raises OutputError when the file cannot be written."""
    attempt(path, lambda path: path.write_text(text, encoding="utf-8"))


def attempt(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` on `path`; raises OutputError when that raises OSError."""
    try:
        write(path)
    except OSError as exc:
        raise OutputError(f"{path}: cannot be written ({exc.strerror}); choose another place") from exc


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        float(value)
    except ValueError:
        return as_cell(value)
    return value  # a figure, which may be negative
