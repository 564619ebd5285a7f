"""`rtpolyp eval VIDEO`: how outlines behave over time, with or without truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rtpolyp.errors import InputError
from rtpolyp.inference.isolated.engine import EngineRecipe, open_guarded
from rtpolyp.measure.figure_files import write_json
from rtpolyp.measure.statistics import percentile
from rtpolyp.measure.video_evaluation import Observation, observe
from rtpolyp.measure.video_score import PolypFreeScore, PolypScore, VideoScore, score_video, to_dict
from rtpolyp.measure.video_truth import Known, Truth, no_polyps, read_sequences, read_truth
from rtpolyp.pipeline import settings_for
from rtpolyp.terminal.console import check_outputs, make_console, progress_bar, say_written
from rtpolyp.tracking.smoothing import TemporalSmoother
from rtpolyp.video.source import open_source

__all__ = ["VideoTruth", "evaluate_videos", "is_video"]


@dataclass(frozen=True)
class VideoTruth:
    """What the caller says about the videos, each a sequence of its own unless `sequences` cuts it."""

    files: Sequence[Path] = ()  # one for each video: a folder of masks, or JSON with boxes
    sequences: Path | None = None  # JSON that names each frame's sequence; of a single video
    polyp_free: bool = False  # no frame has a polyp


def is_video(data: Path) -> bool:
    """Whether `data` is to be scored as a video: anything but a folder that is there or has an extension."""
    return (bool(data.suffix) or data.is_file()) and not data.is_dir()


def evaluate_videos(
    videos: Sequence[Path],
    known: VideoTruth,
    recipe: EngineRecipe,
    *,
    threshold: float | None,
    alert_delay_ms: float,
    json: Path | None,
) -> None:
    """Run an engine over videos as `rtpolyp run` does, print the temporal metrics and write them."""
    _check(videos, known)
    check_outputs((json,), videos)
    truths = _truths(videos, known)
    sequences = None if known.sequences is None else read_sequences(known.sequences)
    console = make_console()
    seen: list[list[Observation]] = []
    with open_guarded(recipe) as network:
        spec = network.spec
        settings = settings_for(spec, threshold=threshold)
        for video, truth in zip(videos, truths, strict=True):
            with open_source(video) as source, progress_bar(console, source.name) as progress:
                seen += observe(
                    source,
                    network,
                    settings,
                    known=Known(truth, sequences),
                    alert_delay_ms=alert_delay_ms,
                    progress=progress,
                )["tracked"]
        description = network.description
    score = score_video(seen, examinations=len(videos))
    console.print(
        description,
        f"operating point: probability ≥ {settings.threshold:g}, area ≥ {settings.minimum_area:.2%} of the "
        f"picture, mean probability ≥ {settings.minimum_confidence:g}; tracked, smoothing delays by at most "
        f"{TemporalSmoother().delay_ms:.0f} ms, alerts by {alert_delay_ms:.0f} ms",
        sep="\n",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    print_score(score, console)
    if json is not None:
        context = {
            "schema": 1,
            "videos": [str(video) for video in videos],
            "truth": [str(file) for file in known.files],
            "polyp_free_video": known.polyp_free,
            "bundle": spec.name,
            "sha256": spec.sha256,
            "source": description,
            "alert_delay_ms": alert_delay_ms,
        }
        write_json(context | to_dict(score), json)
    say_written((json,), console)


def print_score(score: VideoScore, console: Console) -> None:
    """Print every metric with its unit; without truth, say that only part of them was scored."""
    table = Table("", "", box=None, show_header=False)
    table.add_row(
        "scored", f"{score.frames} frames, {score.seconds:.1f} s, {_count(score.sequences, 'sequence')}"
    )
    table.add_row("outlines", f"{score.outlines / score.frames:.2f} a frame, on {score.outlined} frames")
    table.add_row(
        "blinks, away ≤ 0.5 s", f"{score.returns}, {score.returns_per_minute:.1f} a minute of video"
    )
    table.add_row("flow-warped IoU", "–" if score.consistency is None else f"{score.consistency:.3f}")
    table.add_row("alerts", str(score.alerts))
    if score.false_outlines is not None:
        table.add_row("false outlines", f"{score.false_outlines / score.frames:.2f} a frame")
    if score.polyps is not None:
        _add_polyps(score.polyps, table)
    if score.polyp_free is not None:
        _add_polyp_free(score.polyp_free, table)
    console.print(table)
    if score.false_outlines is None:
        console.print(
            "no truth: sensitivity, flicker by polyp, delays and false activations were not scored; "
            "give --truth, or --polyp-free where the video has no polyp",
            highlight=False,
            soft_wrap=True,
        )


def _add_polyps(polyps: PolypScore, table: Table) -> None:
    table.add_row("polyps met, by frame", f"{polyps.found}/{polyps.annotated} {polyps.sensitivity:.1%}")
    low, high = polyps.per_polyp
    table.add_row(
        "polyps met, in any frame",
        f"{polyps.appearances - polyps.missed}/{polyps.appearances} {polyps.sensitivity_per_polyp:.1%} "
        f"[{100 * low:.1f}, {100 * high:.1f}]",
    )
    if polyps.dice is not None:
        table.add_row("Dice, frames with a polyp", f"{polyps.dice:.3f}")
    if polyps.flicker_per_second is not None:
        table.add_row(
            "flicker",
            f"{polyps.flicker_per_second:.2f} changes a second of a polyp in view "
            f"({_count(polyps.appearances, 'appearance')}, {polyps.seconds:.1f} s)",
        )
    table.add_row("time to first outline", _delays(polyps.first_outline_ms, polyps.missed))
    table.add_row("time to first alert", _delays(polyps.first_alert_ms, polyps.unalerted))


def _add_polyp_free(free: PolypFreeScore, table: Table) -> None:
    table.add_row("polyp-free", f"{free.frames} frames, {free.seconds:.1f} s; {free.outlined} outlined")
    table.add_row("  area outlined", f"{free.area:.3%} of the picture, mean")
    for stay in (*free.activations_by_frames, *free.activations):
        low, high = stay.interval
        shortest = f"{stay.minimum_frames} frames" if stay.minimum_frames > 1 else "any frame"
        if stay.minimum_seconds:
            shortest = f"{stay.minimum_seconds:g} s"
        each = "" if stay.per_examination is None else f", {stay.per_examination:.1f} a video"
        table.add_row(
            f"  activations, {shortest}" if shortest == "any frame" else f"  activations ≥ {shortest}",
            f"{stay.count}, {stay.per_minute:.2f} a minute [{low:.2f}, {high:.2f}]{each}",
        )


def _delays(delays: Sequence[float], never: int) -> str:
    if not delays:
        return f"never for {never}"
    text = f"{percentile(delays, 50):.0f} ms median, {max(delays):.0f} ms longest"
    return f"{text}; never for {never}" if never else text


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _check(videos: Sequence[Path], known: VideoTruth) -> None:
    if known.polyp_free and known.files:
        raise InputError(" says that there is no polyp: leave the truth out", parameter="polyp_free")
    if known.files and len(known.files) != len(videos):
        raise InputError(
            f"{len(known.files)} of --truth for {len(videos)} videos: give one for each, in order"
        )
    if known.sequences is not None and len(videos) > 1:
        raise InputError(f"{known.sequences}: --sequences cuts a single video; give {videos[0]} alone")


def _truths(videos: Sequence[Path], known: VideoTruth) -> list[Truth | None]:
    if known.files:
        return [read_truth(file) for file in known.files]
    return [no_polyps() if known.polyp_free else None for _ in videos]
