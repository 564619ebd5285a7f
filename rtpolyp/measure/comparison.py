"""Two runs on the same frames: which one is better, by how much, and how sure that is."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtpolyp.checks import known_beside
from rtpolyp.errors import InputError
from rtpolyp.measure.statistics import MINIMUM_GROUPS, Interval, bootstrap_difference

__all__ = ["FIGURES", "Comparison", "FrameFigures", "check_precisions", "compare", "read_figures"]

# the columns of `report.write_csv` that hold Dice or IoU: of frames with a polyp only
FIGURES = (
    "dice",
    "iou",
    "two_class_iou",
    "dice_operating",
    "iou_operating",
    "dice_256_thresholds",
    "iou_256_thresholds",
    "soft_dice_256_px",
    "two_class_iou_256_px",
)


@dataclass(frozen=True)
class FrameFigures:
    """What `rtpolyp eval --csv` wrote about the frames with a polyp."""

    path: Path
    names: tuple[str, ...]  # (N)
    groups: tuple[str, ...]  # (N) frames of one group resemble each other
    values: dict[str, NDArray[np.float64]]  # figure → (N,)
    precision: str = ""  # that the engine ran in; "" for masks made elsewhere, and in older files


@dataclass(frozen=True)
class Comparison:
    """The mean of one figure over the frames, and over the seeds where there are several."""

    figure: str  # of FIGURES
    ours: float
    theirs: float
    interval: Interval | None  # 95 %, of the difference; None with too few groups
    by_seed: tuple[float, ...]  # difference of each pair of runs
    by_group: dict[str, float]  # difference of each group; empty where there is an interval

    @property
    def difference(self) -> float:
        """Positive where ours is better."""
        return self.ours - self.theirs


def read_figures(path: Path) -> FrameFigures:
    """Read a per-frame CSV of `rtpolyp eval`. Raises InputError for a missing, broken or foreign file."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if missing := [c for c in ("name", "group", *FIGURES) if c not in (reader.fieldnames or ())]:
                raise InputError(
                    f"{path}: no column {missing[0]!r}; give a file that rtpolyp eval --csv wrote"
                )
            rows = [row for row in reader if row["dice"]]
        values = {figure: np.array([float(row[figure]) for row in rows]) for figure in FIGURES}
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; {known_beside(path)}write it with rtpolyp eval --csv"
        ) from None
    except (OSError, ValueError, TypeError) as exc:
        raise InputError(f"{path}: not readable as a CSV of frames ({exc}); write it again") from exc
    if not rows:
        raise InputError(f"{path}: no frame with a polyp; there is nothing to compare")
    names = tuple(row["name"] for row in rows)
    if repeated := [name for index, name in enumerate(names) if name in names[:index]]:
        raise InputError(f"{path}: frame {repeated[0]!r} stands there twice; keep one row for each")
    precision = rows[0].get("precision") or ""
    return FrameFigures(path, names, tuple(row["group"] for row in rows), values, precision)


def check_precisions(ours: FrameFigures, theirs: FrameFigures) -> None:
    """Raise InputError where two precisions are known and differ: part of the difference is theirs."""
    if ours.precision and theirs.precision and ours.precision != theirs.precision:
        raise InputError(
            f"{ours.path} ran in {ours.precision}, {theirs.path} in {theirs.precision}: score both with the "
            "same --precision, or compare them --anyway"
        )


def compare(ours: Sequence[FrameFigures], theirs: Sequence[FrameFigures], figure: str = "dice") -> Comparison:
    """Compare runs in pairs, `ours[i]` with `theirs[i]`: one pair, or one for each seed.

    The interval is a paired bootstrap by group, seeds resampled first. Raises InputError that names a frame
    which one file has and another has not.
    """
    reference = ours[0]
    first, second = (
        np.stack([_in_order_of(reference, run, figure) for run in runs]) for runs in (ours, theirs)
    )
    difference = first - second  # (seeds, frames)
    members: dict[str, list[int]] = {}
    for index, group in enumerate(reference.groups):
        members.setdefault(group, []).append(index)
    has_few = len(members) < MINIMUM_GROUPS
    return Comparison(
        figure,
        float(first.mean()),
        float(second.mean()),
        bootstrap_difference(first, second, reference.groups),
        tuple(float(mean) for mean in difference.mean(axis=1)),
        {group: float(difference[:, i].mean()) for group, i in members.items()} if has_few else {},
    )


def _in_order_of(reference: FrameFigures, run: FrameFigures, figure: str) -> NDArray[np.float64]:
    position = {name: index for index, name in enumerate(run.names)}
    for one, other in ((reference, run), (run, reference)):
        if lacking := sorted(set(one.names) - set(other.names)):
            raise InputError(
                f"{other.path}: no figures of frame {lacking[0]!r}, which {one.path} has "
                f"({len(lacking)} such frames); score both on the same frames"
            )
    return run.values[figure][[position[name] for name in reference.names]]
