"""`rtpolyp eval`: Dice, IoU and false outlines of an engine, or of anybody's masks, on a data set.

A video goes to `eval_video`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Group, Parameter
from rich.console import Console
from rich.table import Table

from rtpolyp.cli.eval_video import VideoTruth, evaluate_videos, is_video
from rtpolyp.errors import InputError
from rtpolyp.inference.isolated.engine import EngineRecipe, open_guarded
from rtpolyp.measure.crops import CropScore, crop_rates, evaluate_crops, polyp_free_crops
from rtpolyp.measure.dataset import Pair, load_pairs
from rtpolyp.measure.evaluation import Evaluation, evaluate_engine, evaluate_predictions
from rtpolyp.measure.report import figures, outlines, parts, to_dict, units, write_csv, write_json
from rtpolyp.measure.sheet import write_sheet
from rtpolyp.measure.statistics import MINIMUM_GROUPS, Interval
from rtpolyp.pipeline import settings_for
from rtpolyp.settings import Settings
from rtpolyp.terminal.console import check_outputs, make_console, progress_bar, say_written
from rtpolyp.tracking.alert import DELAY_MS

__all__ = ["evaluate"]

VIDEO = Group("Videos")
WORST = 12  # cases on a contact sheet


def evaluate(
    data: Path,
    /,
    *more: Path,
    split: str | None = None,
    engine: str = "pranet-if",
    backend: str = "auto",
    precision: str = "auto",
    predictions: Path | None = None,
    threshold: float | None = None,
    include_seen: Annotated[bool, Parameter(negative="")] = False,
    crop_count: Annotated[int, Parameter(name="--polyp-free-crops")] = 0,
    worst: int | None = None,
    sheet: Path | None = None,
    csv: Path | None = None,
    json: Path | None = None,
    truth: Annotated[list[Path] | None, Parameter(negative="", group=VIDEO)] = None,
    sequences: Annotated[Path | None, Parameter(group=VIDEO)] = None,
    polyp_free: Annotated[bool, Parameter(negative="", group=VIDEO)] = False,
    alert_delay: Annotated[float, Parameter(group=VIDEO)] = DELAY_MS,
) -> None:
    """Score an engine, or masks made elsewhere, on images with ground truth; or an engine on videos.

    Parameters
    ----------
    data
        A folder with images/ and masks/; a mask has the image's name and size, and is empty without polyp.
        Or a video, of which flicker, delays and false activations are scored.
    more
        More videos, each a sequence of its own.
    split
        A text file with one frame name a line, or its name in splits/ in or beside the folder; all images
        by default.
    engine
        A bundle's name or folder.
    backend
        auto, openvino or onnxruntime.
    precision
        auto, fp32, bf16 or int8; auto measures which is fastest on this processor, once.
    predictions
        Score the grey PNG masks or probability maps in this folder instead of an engine.
    threshold
        Probability from which a pixel is polyp at the operating point; the bundle's own by default, 0.5 for
        predictions.
    include_seen
        Score frames that the network was trained or chosen on, too.
    crop_count
        Also cut this many crops without a polyp from the frames and count those with an outline.
    worst
        Draw the worst cases on a contact sheet; 12 when only --sheet is given.
    sheet
        PNG of the contact sheet; DATA.worst.png in the current folder by default.
    csv
        Write every figure of every frame.
    json
        Write the report.
    truth
        What is known of a video: a folder of masks named by the frame's index, or a JSON file of boxes. Once
        for each video, in their order.
    sequences
        JSON that says which sequence each frame belongs to: nothing is smoothed or counted across two.
    polyp_free
        The videos have no polyp.
    alert_delay
        Milliseconds of support after which an outline alerts.
    """
    image_options = {
        "--split": split,
        "--predictions": predictions,
        "--include-seen": include_seen,
        "--polyp-free-crops": crop_count,
        "--worst": worst,
        "--sheet": sheet,
        "--csv": csv,
    }
    if is_video(data):
        _refuse(image_options, f"scores images with masks, and {data} is a video")
        evaluate_videos(
            (data, *more),
            VideoTruth(truth or (), sequences, polyp_free),
            engine=engine,
            backend=backend,
            precision=precision,
            threshold=threshold,
            alert_delay_ms=alert_delay,
            json=json,
        )
        return
    video_options = {
        "a second path": more,
        "--truth": truth,
        "--sequences": sequences,
        "--polyp-free": polyp_free,
    }
    _refuse(video_options, f"is for videos, and {data} is none")
    pairs = load_pairs(data, split)
    if worst is not None or sheet is not None:
        worst = WORST if worst is None else worst
        sheet = sheet or Path(f"{data.resolve().name}.worst.png")
    _check(pairs, threshold, worst, crop_count, predictions, outputs=(sheet, csv, json))
    console = make_console()
    scores: list[CropScore] = []
    context: dict[str, object] = {"data": str(data), "split": split}
    if predictions is not None:
        settings = Settings(0.5 if threshold is None else threshold, minimum_area=0.0, minimum_confidence=0.0)
        with progress_bar(console, "frames") as progress:
            evaluation = evaluate_predictions(predictions, pairs, settings, progress=progress)
    else:
        with open_guarded(EngineRecipe(engine, backend, precision, optimise_for="throughput")) as network:
            spec = network.spec
            context |= {"bundle": spec.name, "sha256": spec.sha256}
            settings = settings_for(spec, threshold=threshold)
            with progress_bar(console, "frames") as progress:
                evaluation = evaluate_engine(
                    network, pairs, settings, include_seen=include_seen, progress=progress
                )
            if crop_count:
                scored = [frame.pair for frame in evaluation.frames]
                crops = polyp_free_crops(scored, crop_count, aspect=spec.width / spec.height)
                with progress_bar(console, "crops") as progress:
                    scores = evaluate_crops(network, crops, settings, progress=progress)
    print_evaluation(evaluation, scores, console)
    if csv is not None:
        write_csv(evaluation, csv)
    if json is not None:
        write_json(to_dict(evaluation, crops=scores, **context), json)
    if sheet is not None and worst is not None:
        write_sheet(evaluation, worst, sheet)
    say_written((sheet, csv, json), console)


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
    console.print(_outlines_table(evaluation, crops))
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
    crop_count: int,
    predictions: Path | None,
    outputs: Sequence[Path | None],
) -> None:
    """Refuse before minutes of work what would fail after them."""
    if threshold is not None and not 0.0 < threshold < 1.0:
        raise InputError(f"threshold {threshold:g} is outside (0, 1): give a probability such as 0.5")
    if worst is not None and worst < 1:
        raise InputError(f"worst {worst}: give at least 1")
    if crop_count < 0:
        raise InputError(f"polyp-free crops {crop_count}: give at least 1, or 0 for none")
    if crop_count and predictions is not None:
        raise InputError("--polyp-free-crops needs an engine to run on them: leave --predictions out")
    check_outputs(outputs, (path for pair in pairs for path in (pair.image, pair.mask)))


def _refuse(options: Mapping[str, object], reason: str) -> None:
    for name, value in options.items():
        if value not in (None, False, 0, ()):
            raise InputError(f"{name} {reason}: leave it out")
