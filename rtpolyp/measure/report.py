"""What an evaluation says: figures with intervals, parts, CSV and JSON."""

import csv
import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtpolyp.measure.crops import CropScore, OutlineRate, crop_rates, outline_rate
from rtpolyp.measure.evaluation import Evaluation, FrameScore
from rtpolyp.measure.figure_files import attempt
from rtpolyp.measure.metrics import Detection, Overlap
from rtpolyp.measure.statistics import MINIMUM_GROUPS, Interval, bootstrap_mean, clopper_pearson
from rtpolyp.measure.structure_report import froc_of, structure_means
from rtpolyp.printable import as_cell

__all__ = [
    "Figure",
    "Outlines",
    "Part",
    "figures",
    "outlines",
    "parts",
    "to_dict",
    "units",
    "write_csv",
]

Score = Callable[[FrameScore], float]


@dataclass(frozen=True)
class Figure:
    """Dice and IoU by one convention, over the frames with a polyp."""

    key: str  # in JSON
    label: str
    dice: float | None  # None where the convention has no such figure
    iou: float | None
    dice_interval: Interval | None = None  # 95 %, over groups; None with too few
    iou_interval: Interval | None = None


@dataclass(frozen=True)
class Outlines:
    """Polyps found and false outlines, over all frames."""

    key: str
    label: str
    polyps: int
    found: int  # polyps that an outline meets with IoU ≥ 0.3
    sensitivity: Interval | None  # exact 95 % interval of found / polyps; None without a polyp
    false_outlines: int
    frames: int
    polyp_free: OutlineRate | None  # frames without a polyp; None without any


@dataclass(frozen=True)
class Part:
    """One hospital or sequence: its frames with a polyp, at 0.5 unless said otherwise."""

    name: str
    frames: int
    dice: float
    iou: float
    operating_dice: float
    found: int  # at the operating point
    polyps: int


PER_IMAGE: tuple[tuple[str, str, Score | None, Score], ...] = (
    ("at_half", "per image at 0.5 (headline)", lambda f: f.half.dice, lambda f: f.half.iou),
    ("operating", "per image at operating point", lambda f: f.operating.dice, lambda f: f.operating.iou),
    ("two_class", "two-class mean at 0.5", None, lambda f: f.half.two_class_iou),
    ("pranet", "PraNet, 256 thresholds", lambda f: f.threshold_dice, lambda f: f.threshold_iou),
    (
        "resunetpp",
        "ResUNet++, soft, 256 px",
        lambda f: f.soft_dice,
        lambda f: f.small.two_class_iou,
    ),
)
POOLED: tuple[tuple[str, str, Callable[[FrameScore], Overlap]], ...] = (
    ("pooled", "data set pooled at 0.5", lambda f: f.half),
    ("pooled_operating", "pooled at operating point", lambda f: f.operating),
)
DETECTIONS: tuple[tuple[str, str, Callable[[FrameScore], Detection]], ...] = (
    ("at_half", "0.5", lambda f: f.half_detection),
    ("operating", "operating point", lambda f: f.detection),
)


def figures(evaluation: Evaluation) -> list[Figure]:
    """Dice and IoU by every convention; empty without a frame that has a polyp."""
    frames = evaluation.with_polyp
    if not frames:
        return []
    groups = [frame.pair.group for frame in frames]
    result = []
    for key, label, dice, iou in PER_IMAGE:
        ious = [iou(frame) for frame in frames]
        dices = None if dice is None else [dice(frame) for frame in frames]
        result.append(
            Figure(
                key,
                label,
                None if dices is None else float(np.mean(dices)),
                float(np.mean(ious)),
                None if dices is None else bootstrap_mean(dices, groups),
                bootstrap_mean(ious, groups),
            )
        )
    for key, label, counts in POOLED:
        total = sum((counts(frame) for frame in frames), Overlap(0, 0, 0, 0))
        result.append(Figure(key, label, total.dice, total.iou))
    return result


def outlines(evaluation: Evaluation) -> list[Outlines]:
    """Polyps found and false outlines, at 0.5 and at the operating point."""
    result = []
    for key, label, detection in DETECTIONS:
        found = [detection(frame) for frame in evaluation.frames]
        polyps, hits = sum(d.polyps for d in found), sum(d.found for d in found)
        empty = [detection(frame).outlines > 0 for frame in evaluation.frames if not frame.has_polyp]
        result.append(
            Outlines(
                key,
                label,
                polyps,
                hits,
                clopper_pearson(hits, polyps) if polyps else None,
                sum(d.false_outlines for d in found),
                len(found),
                outline_rate(empty),
            )
        )
    return result


def units(evaluation: Evaluation) -> str:
    """What the intervals resample, in words: "100 images", or "3 groups" of images."""
    groups = {frame.pair.group for frame in evaluation.with_polyp}
    alone = len(groups) == len(evaluation.with_polyp)
    return f"{len(groups)} {'images' if alone else 'groups of images'}"


def parts(evaluation: Evaluation) -> list[Part]:
    """Figures by hospital or sequence where the data set names them; by group where those are too few.

    Empty when the frames form one part only.
    """
    frames = evaluation.with_polyp
    groups = {frame.pair.group for frame in frames}
    by_group = len(groups) < MINIMUM_GROUPS
    members: dict[str, list[FrameScore]] = {}
    for frame in frames:
        members.setdefault(frame.pair.group if by_group else frame.pair.family, []).append(frame)
    if len(members) < 2:
        return []
    return [_part(name, members[name]) for name in sorted(members, key=_natural)]


def to_dict(evaluation: Evaluation, *, crops: Sequence[CropScore] = (), **context: object) -> dict[str, Any]:
    """Everything but the frames themselves, ready for JSON; `context` is put in front."""
    by_part = parts(evaluation)
    return {
        "schema": 1,
        **context,
        "source": evaluation.source,
        "settings": {
            name: getattr(evaluation.settings, name)
            for name in ("threshold", "minimum_area", "minimum_confidence")
        },
        "frames": len(evaluation.frames),
        "frames_with_polyp": len(evaluation.with_polyp),
        "frames_seen_in_training": evaluation.seen,
        "seen_included": evaluation.seen_included,
        "intervals_resample": units(evaluation),
        "figures": {f.key: _fields(f) for f in figures(evaluation)},
        "outlines": {o.key: _fields(o) for o in outlines(evaluation)},
        "structure": {key: dataclasses.asdict(mean) for key, mean in structure_means(evaluation).items()},
        "froc": [dataclasses.asdict(point) for point in froc_of(evaluation)],
        "parts": [dataclasses.asdict(part) for part in by_part],
        "macro_dice": float(np.mean([part.dice for part in by_part])) if by_part else None,
        "polyp_free_crop_frames": len({score.crop.pair.name for score in crops}),
        "polyp_free_crops": {
            key: {name: _fields(rate) for name, rate in rates.items()}
            for key, rates in crop_rates(crops).items()
        },
    }


def write_csv(evaluation: Evaluation, path: Path) -> None:
    """Write one row a frame; cells of Dice and IoU are empty on frames without a polyp."""
    rows = [{**_row(frame), "precision": evaluation.precision} for frame in evaluation.frames]

    def write(path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    attempt(path, write)


def _part(name: str, frames: Sequence[FrameScore]) -> Part:
    return Part(
        name=name,
        frames=len(frames),
        dice=float(np.mean([frame.half.dice for frame in frames])),
        iou=float(np.mean([frame.half.iou for frame in frames])),
        operating_dice=float(np.mean([frame.operating.dice for frame in frames])),
        found=sum(frame.detection.found for frame in frames),
        polyps=sum(frame.detection.polyps for frame in frames),
    )


def _natural(name: str) -> tuple[object, ...]:
    """Sort key by which "sequence 9" precedes "sequence 10"."""
    head, _, number = name.rpartition(" ")
    return (head, int(number)) if number.isdigit() else (name, 0)


def _row(frame: FrameScore) -> dict[str, object]:
    scores = {
        "dice": frame.half.dice,
        "iou": frame.half.iou,
        "two_class_iou": frame.half.two_class_iou,
        "dice_operating": frame.operating.dice,
        "iou_operating": frame.operating.iou,
        "dice_256_thresholds": frame.threshold_dice,
        "iou_256_thresholds": frame.threshold_iou,
        "soft_dice_256_px": frame.soft_dice,
        "two_class_iou_256_px": frame.small.two_class_iou,
        **dataclasses.asdict(frame.structure),
    }
    return {
        "name": as_cell(frame.pair.name),
        "group": as_cell(frame.pair.group),
        "family": as_cell(frame.pair.family),
        **{key: "" if math.isnan(value) else f"{value:.6f}" for key, value in scores.items()},
        "truth_pixels": frame.half.truth,
        "polyps": frame.detection.polyps,
        "found": frame.half_detection.found,
        "false_outlines": frame.half_detection.false_outlines,
        "found_operating": frame.detection.found,
        "false_outlines_operating": frame.detection.false_outlines,
    }


def _fields(value: Figure | Outlines | OutlineRate) -> dict[str, Any]:
    fields = dataclasses.asdict(value)
    for name in ("key", "label"):
        fields.pop(name, None)
    return fields
