"""What a finished cell leaves: a JSON file with the settings that decided its scores."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rtpolyp.errors import InputError
from train.experiment.files import read_json

__all__ = ["has_finished", "read_finished"]

WHAT = "the scores of a cell"


def has_finished(file: Path, schema: int, settings: Mapping[str, Any]) -> bool:
    """Whether the file of a cell is there. Raises InputError where it was made with other settings."""
    if not file.is_file():
        return False
    changed = list(_changes(read_json(file, schema, WHAT), settings))
    if changed:
        raise InputError(f"{file}: was trained with other settings: {', '.join(changed)}. Give another -o")
    return True


def read_finished(folder: Path, pattern: str, schema: int) -> list[tuple[Path, dict[str, Any]]]:
    """File and content of the finished cells of a folder, by path."""
    return [(file, read_json(file, schema, WHAT)) for file in sorted(folder.glob(pattern))]


def _changes(stored: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    """What differs, in words; of groups of settings, their own."""
    for key, new in given.items():
        if key not in stored and not new:
            continue  # a setting that came later, and is off
        old = stored.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            # a setting that came later did not exist, so it was not another one
            yield from _changes(old, {name: new.get(name) for name in old})
        elif old != new:
            yield f"{key} {old} → {new}"
