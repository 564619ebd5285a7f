"""`rtpolyp suggest`: which frames of videos are worth a label."""

from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rtpolyp.cli.flags import EngineFlags
from rtpolyp.cli.run import BAD_IMAGES
from rtpolyp.cli.say_engine import say_engine
from rtpolyp.imaging.picture import parse_crop
from rtpolyp.inference.isolated.engine import open_guarded
from rtpolyp.suggest.folder import suggest_frames
from rtpolyp.suggest.survey import Networks
from rtpolyp.terminal.console import make_console, progress_bar, say_written

__all__ = ["suggest"]


def suggest(
    *videos: str,
    count: Annotated[int, Parameter(name=["--count", "-n"])] = 200,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("suggested"),
    engine: EngineFlags = EngineFlags(),  # noqa: B008 # frozen
    against: str = "pranet-if-plus",
    crop: str = "auto",
) -> int:
    """Choose the frames that are worth a label, and write them with proposed masks.

    Parameters
    ----------
    videos
        Video files.
    count
        How many frames.
    out
        The folder to write: images/, masks/, suggested.csv and groups.csv.
    against
        The bundle that --engine is compared with.
    crop
        What is kept of a frame: auto (the endoscope's picture), off (all), or x,y,w,h.
    """
    console, area = make_console(), parse_crop(crop)
    first = engine.recipe(optimise_for="throughput")
    second = EngineFlags(against, engine.backend, engine.precision, engine.threads)
    with (
        open_guarded(first) as network,
        open_guarded(second.recipe(optimise_for="latency")) as other,
    ):
        for one in (network, other):
            say_engine(one, console)
        suggestion = suggest_frames(
            videos,
            out,
            Networks(network, other),
            count=count,
            crop=area,
            follow=partial(progress_bar, console, rate="frames"),
        )
    console.print(f"{suggestion.frames} frames", highlight=False)
    for reason, frames in suggestion.reasons.items():
        console.print(f"  {reason}: {frames}", highlight=False)
    for note in suggestion.notes:
        console.print(note, highlight=False, soft_wrap=True)
    say_written((out,), console)
    if suggestion.skipped:
        console.print(f"cannot be read, or not to the end ({len(suggestion.skipped)}):", highlight=False)
        for line in suggestion.skipped:
            console.print(f"  {line}", highlight=False, soft_wrap=True)
    return BAD_IMAGES if suggestion.skipped else 0
