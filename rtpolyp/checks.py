"""Checks of parameters: an InputError that names the parameter, the value, and what there is instead."""

import difflib
import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from pathlib import Path

from rtpolyp.errors import InputError

__all__ = [
    "known_beside",
    "known_names",
    "require_bool",
    "require_choice",
    "require_folder",
    "require_number",
    "require_whole",
]

CLOSE_FILE = 0.85  # of difflib: a slip of the finger, and not every file of the same kind


def known_names(value: object, names: Iterable[str]) -> str:
    """What an error about an unknown name ends with: the closest name, if any is close, and all there are."""
    names = list(names)
    closest = difflib.get_close_matches(str(value), names, n=1)
    meant = f"did you mean {closest[0]}? " if closest else ""
    return f"{meant}there are: {', '.join(names)}"


def known_beside(path: Path) -> str:
    """What an error about a missing file ends with: the closest name beside it, if any is close."""
    try:
        names = sorted(other.name for other in path.parent.iterdir() if other.name != path.name)
    except (OSError, ValueError):
        return ""
    closest = difflib.get_close_matches(path.name, names, n=1, cutoff=CLOSE_FILE)
    return f"did you mean {path.with_name(closest[0])}? " if closest else ""


def require_folder(path: Path) -> None:
    """Raise InputError where there is no such folder."""
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; {known_beside(path)}give a folder that exists")


def require_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise InputError unless `value` is one of `choices`."""
    if value not in choices:
        raise InputError(f" {value!r} is unknown; {known_names(value, choices)}", parameter=name)


def require_bool(name: str, value: object) -> None:
    """Raise InputError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise InputError(f" {value!r}: give True or False", parameter=name)


def require_number(
    name: str,
    value: object,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    below: float = math.inf,
    most: float = math.inf,
    example: str,
) -> None:
    """Raise InputError unless `value` is a number with above < value < below and least ≤ value ≤ most.

    `example` is what to give instead, such as "a probability, e.g. 0.5".
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise InputError(f" {value!r} is no number: give {example}", parameter=name)
    number = float(value)
    if not (above < number < below and least <= number <= most):
        low = f"({above:g}" if above >= least else f"[{least:g}"
        high = f"{below:g})" if below <= most else f"{most:g}]"
        raise InputError(f" {number:g} is outside {low}, {high}: give {example}", parameter=name)


def require_whole(name: str, value: object, *, least: float = -math.inf, example: str) -> None:
    """Raise InputError unless `value` is a whole number of at least `least`; `example` is as above."""
    if not isinstance(value, (int, Integral)) or isinstance(value, bool):  # int alone is quick to tell
        raise InputError(f" {value!r} is no whole number: give {example}", parameter=name)
    if int(value) < least:
        raise InputError(f" {value}: give at least {least:g}", parameter=name)
