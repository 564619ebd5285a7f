"""Finished cells → what each recipe gives on each left-out hospital, against the baseline."""

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtpolyp.measure.comparison import Comparison, compare, read_figures
from train.generalise.cells import WITHOUT_LOOK, read_cells
from train.generalise.hospitals import HOSPITALS, SEALED
from train.generalise.ingredients import BASELINE
from train.generalise.plan import SCREEN_FOLDS

__all__ = ["LOOKLESS", "STAGES", "Arm", "Count", "FoldScore", "kept", "read_arms", "verdict"]

STAGES = ("screen", "full")
LOOKLESS = " without its second look"  # after a recipe's name: the scores of its network alone
GAIN = 0.01  # Dice on every screened fold, by which an ingredient is kept …
QUIETER = 0.75  # … or so many of the baseline's false outlines, where no fold loses GAIN


@dataclass(frozen=True)
class Count:
    """Some of many, over all seeds."""

    part: int
    whole: int

    def __add__(self, other: "Count") -> "Count":
        return Count(self.part + other.part, self.whole + other.whole)

    @property
    def rate(self) -> float:
        """0 to 1."""
        return self.part / self.whole


@dataclass(frozen=True)
class FoldScore:
    """One recipe on one left-out hospital: means and sums over the seeds."""

    seeds: tuple[int, ...]
    frames: int  # with a polyp
    dice: float  # at 0.5, mean over frames with a polyp
    dice_operating: float
    found: Count  # polyps at the operating point
    outlined_half: Count  # polyp-free frames and crops with an outline, at 0.5
    outlined: Count  # at the operating point
    outlined_frames: Count  # the whole frames of these
    gain: Comparison | None  # in Dice at 0.5 against the baseline, by seeds that both have


@dataclass(frozen=True)
class Arm:
    """One recipe in one stage."""

    stage: str
    label: str
    folds: dict[str, FoldScore]  # left-out hospital → its scores

    @property
    def open_folds(self) -> dict[str, FoldScore]:
        """All but the sealed hospital, which is looked at once, beside the means and not in them."""
        return {fold: score for fold, score in self.folds.items() if fold != SEALED}

    @property
    def macro_dice(self) -> float:
        """Mean over the open hospitals, so that no large one hides a small one."""
        return statistics.mean(score.dice for score in self.open_folds.values())

    @property
    def macro_dice_operating(self) -> float:
        """The same at the operating point."""
        return statistics.mean(score.dice_operating for score in self.open_folds.values())


def read_arms(out: Path) -> list[Arm]:
    """The recipes of the finished cells, by stage, the baseline first. Raises InputError for broken cells."""
    arms = []
    for stage in STAGES:
        cells: dict[str, dict[str, list[tuple[Path, dict[str, Any]]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for file, cell in read_cells(out, stage):
            label, fold = cell["label"], cell["fold"]
            cells[label][fold].append((file, cell))
            if WITHOUT_LOOK in cell:
                before = {**cell, "scores": cell[WITHOUT_LOOK]}
                cells[label + LOOKLESS][fold].append((file, before))
        for label in sorted(cells, key=lambda name: name != BASELINE):
            of_label, baseline = cells[label], cells[BASELINE]
            folds = {
                # frames.csv tells of the looked network: without its look there is no gain by frame
                fold: _score(of_label[fold], [] if label == BASELINE or LOOKLESS in label else baseline[fold])
                for fold in HOSPITALS
                if fold in of_label
            }
            arms.append(Arm(stage, label, folds))
    return arms


def verdict(arm: Arm, baseline: Arm) -> str:
    """ "keep" or "drop" by the rule of GAIN and QUIETER, "unfinished" without all of SCREEN_FOLDS."""
    if any(fold not in arm.folds or fold not in baseline.folds for fold in SCREEN_FOLDS):
        return "unfinished"
    scores = [(arm.folds[fold], baseline.folds[fold]) for fold in SCREEN_FOLDS]
    gains = [ours.dice - theirs.dice for ours, theirs in scores]
    outlined, before = (
        sum((score.outlined for score in of), Count(0, 0)) for of in zip(*scores, strict=True)
    )
    fewest = QUIETER * before.part * outlined.whole  # cross-multiplied: 45 of 200 are 3/4 of 60 of 200
    is_quieter = before.part > 0 and outlined.part * before.whole <= fewest and min(gains) > -GAIN
    return "keep" if min(gains) >= GAIN or is_quieter else "drop"


def kept(arms: list[Arm]) -> list[str]:
    """The ingredients that the screening keeps, the one with most Dice last: it decides a shared field."""
    screened = {arm.label: arm for arm in arms if arm.stage == "screen"}
    baseline = screened.pop(BASELINE, None)
    recipes = [arm for label, arm in screened.items() if LOOKLESS not in label]
    good = [arm for arm in recipes if baseline and verdict(arm, baseline) == "keep"]
    return [arm.label for arm in sorted(good, key=lambda arm: arm.macro_dice)]


def _score(
    cells: list[tuple[Path, dict[str, Any]]], baseline: list[tuple[Path, dict[str, Any]]]
) -> FoldScore:
    figures = [cell["scores"]["figures"] for _, cell in cells]
    outlines = [cell["scores"]["outlines"]["operating"] for _, cell in cells]
    return FoldScore(
        tuple(cell["seed"] for _, cell in cells),
        cells[0][1]["scores"]["frames_with_polyp"],
        statistics.mean(of["at_half"]["dice"] for of in figures),
        statistics.mean(of["operating"]["dice"] for of in figures),
        sum((Count(of["found"], of["polyps"]) for of in outlines), Count(0, 0)),
        _outlined_frames(cells, "at_half") + _outlined_crops(cells, "at_half"),
        _outlined_frames(cells, "operating") + _outlined_crops(cells, "operating"),
        _outlined_frames(cells, "operating"),
        _gain(cells, baseline),
    )


def _outlined_frames(cells: list[tuple[Path, dict[str, Any]]], key: str) -> Count:
    return _counted(cell["scores"]["outlines"][key]["polyp_free"] for _, cell in cells)


def _outlined_crops(cells: list[tuple[Path, dict[str, Any]]], key: str) -> Count:
    return _counted(cell["scores"]["polyp_free_crops"][key]["all"] for _, cell in cells)


def _counted(rates: Iterable[dict[str, Any] | None]) -> Count:
    """The sum of rates, of which None is one of no pictures."""
    return sum((Count(rate["outlined"], rate["total"]) for rate in rates if rate), Count(0, 0))


def _gain(
    cells: list[tuple[Path, dict[str, Any]]], baseline: list[tuple[Path, dict[str, Any]]]
) -> Comparison | None:
    ours, theirs = (
        {cell["seed"]: file.with_name("frames.csv") for file, cell in of} for of in (cells, baseline)
    )
    if not (seeds := sorted(ours.keys() & theirs.keys())):
        return None
    first, second = ([read_figures(of[seed]) for seed in seeds] for of in (ours, theirs))
    return compare(first, second, "dice")
