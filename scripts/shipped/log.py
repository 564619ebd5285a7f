"""The log of the test parts: every look at them with a bundle, a row each, appended and never changed.

A bundle is its files' hashes, its operating point and its input size: whoever changes one has another bundle,
and the log shows how often that was done.
"""

import csv
import datetime
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rtpolyp.errors import InputError
from rtpolyp.measure.crops import CropScore, OutlineRate, outline_rate
from rtpolyp.measure.evaluation import Evaluation
from rtpolyp.measure.report import figures, outlines, parts
from rtpolyp.measure.statistics import Interval
from rtpolyp.spec import EngineSpec

__all__ = ["COLUMNS", "Row", "check_unscored", "make_row", "read", "rows_of"]

Row = dict[str, str]  # by COLUMNS; "" where a part has no such figure

BUNDLE = ("bundle", "digest", "width", "height", "threshold", "minimum_area", "minimum_confidence")
COLUMNS = (
    *("date", *BUNDLE, "precision", "file_sha256", "part", "frames", "frames_with_polyp"),
    *("dice", "dice_interval", "iou", "dice_operating", "dice_operating_interval", "iou_operating"),
    *("dice_by_subpart", "dice_operating_by_subpart", "macro_dice", "macro_dice_operating"),
    *("polyps", "found", "found_interval", "found_operating", "found_operating_interval"),
    *("polyp_free_frames", "outlined", "outlined_operating", "outlined_operating_interval"),
    *("polyp_free_crops", "crops_outlined", "crops_outlined_operating", "crops_outlined_operating_interval"),
)


def read(path: Path) -> list[Row]:
    """All rows, the oldest first; none without a file. Raises InputError for another kind of file."""
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise InputError(
                    f"{path}: other columns than those of scripts/shipped/log.py; give another -o"
                )
            return list(reader)
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{path}: cannot be read ({exc}); restore it from git") from exc


def rows_of(rows: Iterable[Row], spec: EngineSpec) -> list[Row]:
    """The rows of exactly this bundle."""
    bundle = _bundle(spec)
    return [row for row in rows if {name: row[name] for name in BUNDLE} == bundle]


def check_unscored(path: Path, spec: EngineSpec, wanted: Sequence[tuple[str, str]]) -> None:
    """Raise InputError where a (part, precision) of `wanted` is in the log with this bundle."""
    dates = {(row["part"], row["precision"]): row["date"] for row in rows_of(read(path), spec)}
    for part, precision in wanted:
        if (date := dates.get((part, precision))) is not None:
            missing = [f"--part {p} --precision {q}" for p, q in wanted if (p, q) not in dates]
            raise InputError(
                f"{path}: {spec.name} {spec.digest} was scored on {part} in {precision} on {date}, and a "
                f"bundle is scored once; still to score: {', '.join(missing) or 'nothing, read it there'}"
            )


def make_row(
    spec: EngineSpec,
    precision: str,
    part: str,
    evaluation: Evaluation | None,
    crops: Sequence[CropScore] = (),
) -> Row:
    """What an evaluation of a test part comes to: Dice at 0.5 and at the operating point, and outlines.

    `evaluation` is None where a part has crops alone.
    """
    values: dict[str, object] = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        **_bundle(spec),
        "precision": precision,
        "file_sha256": spec.sha256[spec.files["int8" if precision == "int8" else "fp32"]],
        "part": part,
    }
    if evaluation is not None:
        values |= _of_frames(evaluation)
    rates = tuple(outline_rate([getattr(crop, at) for crop in crops]) for at in ("at_half", "at_operating"))
    values |= _outlined("polyp_free_crops", "crops_outlined", rates)
    return {column: _text(values.get(column)) for column in COLUMNS}


def _of_frames(evaluation: Evaluation) -> dict[str, object]:
    half, operating = outlines(evaluation)
    values: dict[str, object] = {
        "frames": len(evaluation.frames),
        "frames_with_polyp": len(evaluation.with_polyp),
    }
    for figure in figures(evaluation):
        if figure.key in ("at_half", "operating"):
            suffix = "" if figure.key == "at_half" else "_operating"
            values[f"dice{suffix}"], values[f"iou{suffix}"] = figure.dice, figure.iou
            values[f"dice{suffix}_interval"] = figure.dice_interval
    if subparts := parts(evaluation):
        for suffix, dices in (
            ("", [subpart.dice for subpart in subparts]),
            ("_operating", [subpart.operating_dice for subpart in subparts]),
        ):
            values[f"macro_dice{suffix}"] = sum(dices) / len(dices)
            named = zip(subparts, dices, strict=True)
            values[f"dice{suffix}_by_subpart"] = "; ".join(f"{one.name} {dice:.4f}" for one, dice in named)
    if half.polyps:
        values |= {"polyps": half.polyps, "found": half.found, "found_interval": half.sensitivity}
        values |= {"found_operating": operating.found, "found_operating_interval": operating.sensitivity}
    rates = (half.polyp_free, operating.polyp_free)
    return values | dict(_outlined("polyp_free_frames", "outlined", rates))


def _bundle(spec: EngineSpec) -> Row:
    values = ((name, getattr(spec, "name" if name == "bundle" else name)) for name in BUNDLE)
    return {name: value if isinstance(value, str) else f"{value:g}" for name, value in values}


def _outlined(total: str, outlined: str, rates: Sequence[OutlineRate | None]) -> Iterator[tuple[str, object]]:
    half, operating = rates
    if half is not None and operating is not None:
        yield total, half.total
        yield outlined, half.outlined
        yield f"{outlined}_operating", operating.outlined
        yield f"{outlined}_operating_interval", operating.interval


def _text(value: object) -> str:
    if isinstance(value, Interval):
        return f"{value.low:.4f} to {value.high:.4f}"
    if isinstance(value, float):
        return f"{value:.4f}"
    return "" if value is None else str(value)
