"""`rtpolyp eval FOLDER`: Dice, IoU and false outlines of an engine, or of anybody's masks, on images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from rtpolyp.checks import require_number
from rtpolyp.errors import InputError
from rtpolyp.inference.isolated.engine import EngineRecipe, open_guarded
from rtpolyp.measure.crops import CropScore, crop_rates, evaluate_crops, polyp_free_crops
from rtpolyp.measure.dataset import Pair, load_pairs
from rtpolyp.measure.evaluation import Evaluation, evaluate_engine, evaluate_predictions
from rtpolyp.measure.figure_files import write_json
from rtpolyp.measure.froc import RATES, FrocPoint, sensitivity_at, write_froc
from rtpolyp.measure.mask_check import check_masks
from rtpolyp.measure.report import figures, outlines, parts, to_dict, units, write_csv
from rtpolyp.measure.sheet import write_sheet
from rtpolyp.measure.statistics import MINIMUM_GROUPS, Interval
from rtpolyp.measure.structure_report import LABELS, froc_of, structure_means
from rtpolyp.pipeline import settings_for
from rtpolyp.settings import Settings
from rtpolyp.terminal.console import check_outputs, make_console, progress_bar, say_written

__all__ = ["ImageEvaluation", "evaluate_images"]

WORST = 12  # cases on a contact sheet


@dataclass(frozen=True)
class ImageEvaluation:
    """What is scored on images beside the figures, and what is written."""

    split: str | None = None  # a file of frame names, or its name in splits/
    predictions: Path | None = None  # masks or maps to score instead of an engine
    include_seen: bool = False  # frames that the network was trained or chosen on, too
    polyp_free_crops: int = 0  # how many to cut and score
    worst: int | None = None  # cases on the contact sheet
    sheet: Path | None = None
    csv: Path | None = None
    froc: Path | None = None  # a table and a picture, with .csv and .svg
    json: Path | None = None

    def written(self, sheet: Path | None) -> tuple[Path | None, ...]:
        """The files that are asked for."""
        curve = () if self.froc is None else (self.froc.with_suffix(end) for end in (".csv", ".svg"))
        return (sheet, self.csv, *curve, self.json)


def evaluate_images(
    data: Path, recipe: EngineRecipe, asked: ImageEvaluation, *, threshold: float | None
) -> None:
    """Score an engine, or masks made elsewhere, on images with ground truth; print and write it."""
    pairs = load_pairs(data, asked.split)
    sheet, worst = asked.sheet, asked.worst
    if worst is not None or sheet is not None:
        worst = WORST if worst is None else worst
        sheet = sheet or Path(f"{data.resolve().name}.worst.png")
    _check(pairs, threshold, worst, asked, outputs=asked.written(sheet))
    console = make_console()
    with progress_bar(console, "masks") as progress:
        doubts = check_masks([pair.mask for pair in pairs], progress=progress)
    context: dict[str, object] = {"data": str(data), "split": asked.split, "mask_doubts": doubts}
    if asked.predictions is not None:
        scores: list[CropScore] = []
        settings = Settings(0.5 if threshold is None else threshold, minimum_area=0.0, minimum_confidence=0.0)
        with progress_bar(console, "frames") as progress:
            evaluation = evaluate_predictions(asked.predictions, pairs, settings, progress=progress)
    else:
        evaluation, scores, bundle = _run_engine(recipe, pairs, asked, threshold, console)
        context |= bundle
    print_evaluation(evaluation, scores, console)
    if asked.csv is not None:
        write_csv(evaluation, asked.csv)
    if asked.froc is not None:
        write_froc(froc_of(evaluation), asked.froc)
    if asked.json is not None:
        write_json(to_dict(evaluation, crops=scores, **context), asked.json)
    if sheet is not None and worst is not None:
        write_sheet(evaluation, worst, sheet)
    say_written(asked.written(sheet), console)


def _run_engine(
    recipe: EngineRecipe,
    pairs: Sequence[Pair],
    asked: ImageEvaluation,
    threshold: float | None,
    console: Console,
) -> tuple[Evaluation, list[CropScore], dict[str, object]]:
    """What the engine draws, on whole frames and on crops, and what the report says of its bundle."""
    scores: list[CropScore] = []
    with open_guarded(recipe) as network:
        spec = network.spec
        settings = settings_for(spec, threshold=threshold)
        with progress_bar(console, "frames") as progress:
            evaluation = evaluate_engine(
                network, pairs, settings, include_seen=asked.include_seen, progress=progress
            )
        if asked.polyp_free_crops:
            scored = [frame.pair for frame in evaluation.frames]
            crops = polyp_free_crops(scored, asked.polyp_free_crops, aspect=spec.width / spec.height)
            with progress_bar(console, "crops") as progress:
                scores = evaluate_crops(network, crops, settings, progress=progress)
    return evaluation, scores, {"bundle": spec.name, "sha256": spec.sha256}


def print_evaluation(evaluation: Evaluation, crops: Sequence[CropScore], console: Console) -> None:
    """Print what was scored: Dice and IoU by every convention, polyps found, false outlines, parts."""
    settings = evaluation.settings
    lines = [
        evaluation.source,
        _frames(evaluation),
        f"operating point: probability ≥ {settings.threshold:g}, area ≥ {settings.minimum_area:.2%} of the "
        f"picture, mean probability ≥ {settings.minimum_confidence:g}; no temporal smoothing",
    ]
    table = Table("convention", "Dice", "IoU", box=None)
    for row in (rows := figures(evaluation)):
        table.add_row(row.label, _figure(row.dice, row.dice_interval), _figure(row.iou, row.iou_interval))
    if rows and rows[0].dice_interval is None:
        lines.append(f"no interval of Dice and IoU: {units(evaluation)}, {MINIMUM_GROUPS} are needed")
    elif rows:
        lines.append(f"[95 % intervals]: of Dice and IoU by bootstrap over {units(evaluation)}, others exact")
    if crops:
        frames = len({score.crop.pair.name for score in crops})
        lines.append(f"{len(crops)} polyp-free crops of {frames} frames: neighbours resemble each other")
    console.print(*lines, sep="\n", highlight=False, markup=False, soft_wrap=True)
    if rows:
        console.print(table)
        console.print(_structure_table(evaluation))
    console.print(_outlines_table(evaluation, crops))
    if points := froc_of(evaluation):
        console.print(_froc_table(points))
    _print_parts(evaluation, console)


def _outlines_table(evaluation: Evaluation, crops: Sequence[CropScore]) -> Table:
    at_half, operating = outlines(evaluation)
    both = (at_half, operating)
    table = Table("outlines", "at 0.5", "at operating point", box=None)
    if at_half.polyps:
        table.add_row(
            "polyps found, IoU ≥ .3", *(_rate(row.found, row.polyps, row.sensitivity) for row in both)
        )
    table.add_row("false outlines a frame", *(f"{row.false_outlines / row.frames:.2f}" for row in both))
    free = [row.polyp_free for row in both if row.polyp_free is not None]
    if free:
        table.add_row(
            "polyp-free outlined", *(_rate(rate.outlined, rate.total, rate.interval) for rate in free)
        )
    rates = crop_rates(crops)
    for name in rates.get("operating", ()):
        pair = (rates["at_half"][name], rates["operating"][name])
        cells = (_rate(rate.outlined, rate.total, rate.interval) for rate in pair)
        table.add_row("crops outlined" if name == "all" else f"  at {name}", *cells)
    return table


def _structure_table(evaluation: Evaluation) -> Table:
    table = Table("as PraNet and SUN-SEG report", "", box=None)
    for key, mean in structure_means(evaluation).items():
        table.add_row(LABELS[key], _figure(mean.mean, mean.interval))
    return table


def _froc_table(points: Sequence[FrocPoint]) -> Table:
    """What is found at most so many false outlines, by the mean probability that an outline must have."""
    table = Table("FROC: false outlines a frame", "polyps found", "mean probability ≥", box=None)
    for rate in RATES:
        if (point := sensitivity_at(points, rate)) is not None:
            found = f"{point.found}/{point.polyps} {point.sensitivity:.1%}"
            table.add_row(f"≤ {rate:g}", found, f"{point.confidence:.3f}")
        if rate >= points[-1].false_per_frame:
            break  # every outline is counted: larger rates say the same
    return table


def _print_parts(evaluation: Evaluation, console: Console) -> None:
    by_part = parts(evaluation)
    if not by_part:
        return
    table = Table("part", "frames", "Dice 0.5", "IoU 0.5", "Dice operating", "polyps found", box=None)
    for part in by_part:
        figures_of_part = (f"{value:.3f}" for value in (part.dice, part.iou, part.operating_dice))
        table.add_row(part.name, str(part.frames), *figures_of_part, f"{part.found} of {part.polyps}")
    means = (
        np.mean([part.dice for part in by_part]),
        np.mean([part.iou for part in by_part]),
        np.mean([part.operating_dice for part in by_part]),
    )
    table.add_row("mean of parts", "", *(f"{mean:.3f}" for mean in means), "")
    console.print(table)


def _frames(evaluation: Evaluation) -> str:
    frames, polyps = len(evaluation.frames), len(evaluation.with_polyp)
    text = f"{frames} frames scored, {polyps} with a polyp"
    if not evaluation.seen:
        return text
    fate = "among them" if evaluation.seen_included else "left out"
    return f"{text}; {evaluation.seen} that the network has seen in training {fate}"


def _figure(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" + (f" [{interval.low:.3f}, {interval.high:.3f}]" if interval else "")


def _rate(count: int, total: int, interval: Interval | None) -> str:
    """Count, share and its exact interval in percent."""
    text = f"{count}/{total} {count / total:.1%}"
    return text if interval is None else f"{text} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def _check(
    pairs: Sequence[Pair],
    threshold: float | None,
    worst: int | None,
    asked: ImageEvaluation,
    outputs: Sequence[Path | None],
) -> None:
    """Refuse before minutes of work what would fail after them."""
    if threshold is not None:
        require_number("threshold", threshold, above=0, below=1, example="a probability such as 0.5")
    if worst is not None and worst < 1:
        raise InputError(f" {worst}: give at least 1", parameter="worst")
    if asked.polyp_free_crops < 0:
        raise InputError(
            f" {asked.polyp_free_crops}: give at least 1, or 0 for none", parameter="polyp_free_crops"
        )
    if asked.polyp_free_crops and asked.predictions is not None:
        raise InputError(
            " needs an engine to run on them: leave the predictions out", parameter="polyp_free_crops"
        )
    check_outputs(outputs, (path for pair in pairs for path in (pair.image, pair.mask)))
