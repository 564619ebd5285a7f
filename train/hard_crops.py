"""Polyp-free crops that a network saw a polyp in: found once, written as CSV, trained on by the next run."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from rtpolyp.errors import InputError
from train.experiment.files import replace_text

__all__ = ["HardCrop", "read_hard_crops", "write_hard_crops"]

ROUNDING = 1e-6  # by which a crop at the far edge may seem to lie outside


@dataclass(frozen=True)
class HardCrop:
    """A rectangle of a training frame; its numbers are shares of the frame's width and height."""

    name: str  # of the frame's file
    sha256: str  # of the frame's file
    x: float  # left edge
    y: float  # upper edge
    width: float
    height: float
    score: float  # mean probability of the crop's 1 % highest pixels, above 0


def write_hard_crops(crops: Sequence[HardCrop], path: Path) -> None:
    """Write the list, hardest first. Raises OutputError where it cannot be written."""
    rows = [asdict(crop) for crop in sorted(crops, key=lambda crop: -crop.score)]
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(HardCrop)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    replace_text(path, text.getvalue())


def read_hard_crops(path: Path) -> list[HardCrop]:
    """Read a list. Raises InputError for a missing, broken or empty one."""
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            crops = [_crop(row) for row in csv.DictReader(stream)]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(f"{path}: no list of hard crops ({exc!r}). Write it with generalise mine") from exc
    if not crops:
        raise InputError(
            f"{path}: holds no crop. Take a network that outlines something, or none of these crops"
        )
    return crops


def _crop(row: dict[str, str]) -> HardCrop:
    x, y, width, height, score = (float(row[name]) for name in ("x", "y", "width", "height", "score"))
    for start, extent in ((x, width), (y, height)):
        if not (start >= 0 and extent > 0 and start + extent <= 1 + ROUNDING):
            raise ValueError(f"{row['name']}: {start:g} + {extent:g} is not inside the frame")
    if not 0 < score <= 1:
        raise ValueError(f"{row['name']}: score {score:g}")
    return HardCrop(row["name"], row["sha256"], x, y, width, height, score)
