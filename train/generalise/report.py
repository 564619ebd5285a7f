"""The protocol's table as Markdown and CSV."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from rtpolyp.measure.statistics import clopper_pearson
from train.experiment.files import replace_text
from train.experiment.markdown import table
from train.generalise.hospitals import SEALED
from train.generalise.ingredients import BASELINE, INGREDIENTS
from train.generalise.results import GAIN, LOOKLESS, QUIETER, STAGES, Arm, Count, FoldScore, verdict

__all__ = ["as_csv", "as_markdown", "write_report"]

HEADINGS = (
    "recipe", "left out", "frames", "seeds", "Dice at 0.5", "at operating point", "gain at 0.5 [95 %]",
    "polyps found", "outlined polyp-free at 0.5", "at operating point", "of these whole frames",
)  # fmt: skip
CSV_HEADINGS = (
    "stage", "recipe", "left_out", "frames", "seeds", "dice", "dice_operating", "gain", "gain_low",
    "gain_high", "found", "polyps", "outlined_half", "outlined_operating", "polyp_free",
    "outlined_frames", "frames_without", "verdict",
)  # fmt: skip
TITLES = {"screen": "Screening: short trainings, one seed", "full": "Full protocol"}
NOTES = f"""\
Each row is trained without the hospital that it is scored on. The val parts of the others choose checkpoint
and operating point. Screening scores the left-out hospital's train and val parts, the full protocol all of
its frames; {SEALED}, the sealed one, is trained on by no row and is in no mean. Dice is per image at
ground-truth size, mean over frames with a polyp; the gain is paired by frame with the baseline of the same
seed and fold, its interval a bootstrap by group, seeds resampled first. A polyp is found when an outline
meets it with IoU ≥ 0.3. Polyp-free are whole frames without a polyp, where the left-out hospital has any,
and crops of its other frames, the same for all recipes. Rates carry exact (Clopper–Pearson) 95 % intervals;
crops of one frame resemble each other and seeds share frames, so these are too narrow.

An ingredient is kept when it gains {GAIN} Dice at 0.5 on every screened fold, or when it leaves at most
{QUIETER:.0%} of the baseline's outlines on polyp-free pictures (operating point, folds pooled) and loses less
than {GAIN} on each fold."""


def write_report(arms: Sequence[Arm], out: Path) -> None:
    """Write `table.md` and `table.csv`. Raises OutputError when they cannot be written."""
    for name, text in (("table.md", as_markdown(arms)), ("table.csv", as_csv(arms))):
        replace_text(out / name, text)


def as_markdown(arms: Sequence[Arm]) -> str:
    """A section for each stage that has cells, the verdicts, and what was not screened."""
    parts = ["# Left-out hospitals"]
    for stage in STAGES:
        of_stage = [arm for arm in arms if arm.stage == stage]
        if not of_stage:
            continue
        rows = []
        for arm in of_stage:
            rows += [_row(arm.label, fold, score) for fold, score in arm.folds.items()]
            rows += [_macro(arm)] if arm.open_folds else []
        parts += [f"## {TITLES[stage]}", table(HEADINGS, rows, numbers=len(HEADINGS) - 2)]
    parts += _verdicts(arms)
    return "\n\n".join([*parts, NOTES]) + "\n"


def as_csv(arms: Sequence[Arm]) -> str:
    """One row a recipe and left-out hospital, unrounded; empty where a figure does not exist."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_HEADINGS)
    for arm in arms:
        for fold, score in arm.folds.items():
            gain = ["", "", ""]
            if score.gain:
                gain = [f"{value:.6g}" for value in (score.gain.difference, *(score.gain.interval or ()))]
                gain += [""] * (3 - len(gain))
            writer.writerow(
                [
                    arm.stage, arm.label, fold, score.frames, " ".join(map(str, score.seeds)),
                    f"{score.dice:.6g}", f"{score.dice_operating:.6g}", *gain, score.found.part,
                    score.found.whole, score.outlined_half.part, score.outlined.part, score.outlined.whole,
                    score.outlined_frames.part, score.outlined_frames.whole, _verdict(arm, arms),
                ]
            )  # fmt: skip
    return stream.getvalue()


def _row(label: str, fold: str, score: FoldScore) -> list[str]:
    return [
        label,
        f"{fold} (sealed)" if fold == SEALED else fold,
        str(score.frames),
        str(len(score.seeds)),
        f"{score.dice:.3f}",
        f"{score.dice_operating:.3f}",
        _gain(score),
        *map(_rate, (score.found, score.outlined_half, score.outlined, score.outlined_frames)),
    ]


def _macro(arm: Arm) -> list[str]:
    scores = arm.open_folds.values()
    counts = (
        sum((getattr(score, name) for score in scores), Count(0, 0))
        for name in ("found", "outlined_half", "outlined", "outlined_frames")
    )
    means = f"**{arm.macro_dice:.3f}**", f"**{arm.macro_dice_operating:.3f}**"
    gains = [score.gain.difference for score in scores if score.gain]
    gain = f"{sum(gains) / len(gains):+.3f}" if len(gains) == len(scores) else "–"
    return [arm.label, f"mean of {len(scores)}", "", "", *means, gain, *map(_rate, counts)]


def _gain(score: FoldScore) -> str:
    if score.gain is None:
        return "–"
    if score.gain.interval is None:
        return f"{score.gain.difference:+.3f} (too few groups for an interval)"
    low, high = score.gain.interval
    return f"{score.gain.difference:+.3f} [{low:+.3f}, {high:+.3f}]"


def _rate(count: Count) -> str:
    if not count.whole:
        return "–"
    low, high = clopper_pearson(count.part, count.whole)
    return f"{count.part} of {count.whole} ({count.rate:.1%}, {low:.1%}–{high:.1%})"


def _verdict(arm: Arm, arms: Sequence[Arm]) -> str:
    baseline = [one for one in arms if (one.stage, one.label) == ("screen", BASELINE)]
    is_tried = arm.stage == "screen" and arm.label != BASELINE and LOOKLESS not in arm.label
    return verdict(arm, baseline[0]) if baseline and is_tried else ""


def _verdicts(arms: Sequence[Arm]) -> list[str]:
    screened = {arm.label: text for arm in arms if (text := _verdict(arm, arms))}
    untried = [name for name in INGREDIENTS if screened.get(name, "unfinished") == "unfinished"]
    lines = [f"- {label}: {text}" for label, text in screened.items()]
    return ["## Verdicts", "\n".join([*lines, f"- untried: {', '.join(untried) or 'nothing'}"])]
