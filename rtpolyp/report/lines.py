"""read_lines: the JSON lines of `rtpolyp run --json`, checked, one after another."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtpolyp.bounded_files import parse_json
from rtpolyp.errors import InputError
from rtpolyp.video.json_sink import SCHEMA

__all__ = ["FoundPolyp", "Header", "Line", "Summary", "read_lines"]

LONGEST_SIDE = 2**16  # pixels
MOST_BYTES = 8 << 20  # of one line; a frame with a hundred polyps takes 0.2 MiB


@dataclass(frozen=True)
class Header:
    """The first line."""

    fields: Mapping[str, Any]
    size: tuple[int, int] | None  # (width, height) of every frame; None for images


@dataclass(frozen=True)
class FoundPolyp:
    """A polyp as a line has it."""

    track: int | None
    confidence: float  # 0 to 1
    area: float  # pixels
    contour: NDArray[np.float32]  # (n, 2) edge coordinates, frame pixels


@dataclass(frozen=True)
class Line:
    """One frame that was analysed."""

    name: str
    pts_seconds: float
    threshold: float
    polyps: tuple[FoundPolyp, ...]


@dataclass(frozen=True)
class Summary:
    """The last line; an interrupted run has none."""

    fields: Mapping[str, Any]


def read_lines(path: Path) -> Iterator[Header | Line | Summary]:
    """Yield the header, then a Line a frame, then the Summary where there is one.

    A last line that was cut off, as a killed run may leave it, is left out. Raises InputError, with the
    number of the line, for a file that is none of `rtpolyp run --json`.
    """
    try:
        with path.open("rb") as file:
            for number in range(1, 1 << 62):
                text = file.readline(MOST_BYTES)
                if not text.endswith(b"\n"):
                    if number == 1 or len(text) == MOST_BYTES:
                        raise _error(path, number, "is no whole line of results")
                    return
                yield _parse(path, number, text)
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror}); give the file of a run's --json") from exc


def _parse(path: Path, number: int, text: bytes) -> Header | Line | Summary:
    try:
        value = parse_json(text.decode("utf-8"))
        if not isinstance(value, dict):
            raise ValueError("is no JSON object")
        if number == 1:
            return _header(value)
        if "summary" in value:
            return Summary(_mapping(value["summary"]))
        return _line(value)
    except (KeyError, TypeError, ValueError, OverflowError) as exc:
        missing = f"has no {exc}" if isinstance(exc, KeyError) else str(exc)
        raise _error(path, number, missing) from exc


def _header(value: dict[str, Any]) -> Header:
    if value["schema"] != SCHEMA:
        raise ValueError(f"is of schema {value['schema']!r}, and this version reads {SCHEMA}")
    size = value.get("size")
    if size is None:
        return Header(value, None)
    width, height = (int(side) for side in size)
    if not 1 <= min(width, height) <= max(width, height) <= LONGEST_SIDE:
        raise ValueError("has a picture of impossible size")
    return Header(value, (width, height))


def _line(value: dict[str, Any]) -> Line:
    polyps = tuple(_polyp(_mapping(one)) for one in value["polyps"])
    threshold = value.get("threshold")
    return Line(
        str(value["name"]),
        _finite(value["pts_seconds"]),
        math.nan if threshold is None else _finite(threshold),
        polyps,
    )


def _polyp(value: Mapping[str, Any]) -> FoundPolyp:
    contour = np.asarray(value["contour"], np.float32)
    if contour.ndim != 2 or contour.shape[1] != 2 or not np.isfinite(contour).all():
        raise ValueError("has a contour that is no list of points")
    track = value.get("track")
    return FoundPolyp(
        None if track is None else int(track),
        _finite(value["confidence"]),
        _finite(value["area"]),
        contour,
    )


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("has a value where an object belongs")
    return value


def _finite(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"has {value!r} where a number belongs")
    return float(value)


def _error(path: Path, number: int, problem: str) -> InputError:
    return InputError(f"{path}: line {number} {problem}; give the file that rtpolyp run --json wrote")
