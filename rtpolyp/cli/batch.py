"""`rtpolyp batch`: many videos, on all processors or a cluster, into tables."""

import time
from dataclasses import dataclass, replace
from typing import Annotated

from cyclopts import Group, Parameter
from rich.console import Console

from rtpolyp.batch.job import Job
from rtpolyp.batch.run import BatchSummary, Workers, run_batch
from rtpolyp.batch.schedule import Progress
from rtpolyp.cli.flags import EngineFlags, InputFlags, PictureFlags, Switch
from rtpolyp.printable import printable
from rtpolyp.report.charts import clock
from rtpolyp.terminal.console import make_console, progress_bar

__all__ = ["batch"]

BAD_VIDEOS = 2  # exit code: some videos could not be read, or only in part
MIB = 2**20


@Parameter(name="*", group=Group("Output", sort_key=1))
@dataclass(frozen=True)
class BatchOutputFlags:
    """What is written, and where.

    Parameters
    ----------
    output
        The folder or address to write to; on a cluster, one that all machines share.
    overlay
        Write videos with the outlines, too.
    coco
        Write COCO files, too.
    pages
        Write a web page for each video, with thumbnails.
    keep_going
        Exit with 0 although some videos could not be read; they are listed in any case.
    """

    output: Annotated[str, Parameter(name=["--output", "-o"])]
    overlay: Annotated[bool, Switch] = False
    coco: Annotated[bool, Switch] = False
    pages: Annotated[bool, Parameter(negative="--no-pages")] = True
    keep_going: Annotated[bool, Switch] = False


@Parameter(name="*", group=Group("Ray", sort_key=5))
@dataclass(frozen=True)
class RayFlags:
    """Where it runs.

    Parameters
    ----------
    ray_address
        A running Ray: auto, HOST:PORT or ray://HOST:PORT; one is started on this machine by default.
    workers
        The most workers; by default one for each --threads processors, and a worker has 1 by default.
    gpus
        Share of a card that each worker takes, e.g. 0.25.
    """

    ray_address: str | None = None
    workers: int | None = None
    gpus: float = 0.0

    def where(self) -> Workers:
        """As batches take it; raises InputError."""
        return Workers(self.ray_address, self.workers, self.gpus)


def batch(
    sources: list[str],
    /,
    *,
    output: BatchOutputFlags,
    engine: EngineFlags = EngineFlags(),  # noqa: B008 # frozen
    picture: PictureFlags = PictureFlags(),  # noqa: B008
    reading: InputFlags = InputFlags(),  # noqa: B008
    ray: RayFlags = RayFlags(),
) -> int:
    """Outline polyps on many videos, and write tables, a summary and a page a video.

    The same command again goes on where an earlier one was interrupted.

    Parameters
    ----------
    sources
        Videos, folders, globs, and addresses such as s3://BUCKET/FOLDER.
    """
    recipe = engine.recipe(optimise_for="throughput")
    job = Job(
        output.output,
        replace(recipe, threads=1 if recipe.threads is None else recipe.threads),
        picture.threshold,
        picture.style,
        picture.area(),
        reading.options(),
        overlay=output.overlay,
        coco=output.coco,
        pages=output.pages,
    )
    console = make_console()
    begun = time.monotonic()
    with progress_bar(console, "MiB") as bar:

        def tell(progress: Progress) -> None:
            bar(int(progress.bytes_done / MIB), int((progress.bytes_done + progress.bytes_left) / MIB))
            if progress.finished is not None:
                left = _left(progress, time.monotonic() - begun)
                done = f"[{progress.videos_done}/{progress.videos}]"
                console.print(f"{done} {printable(progress.finished)}{left}", highlight=False, soft_wrap=True)

        try:
            summary = run_batch(sources, job, ray.where(), on_progress=tell)
        except KeyboardInterrupt:
            console.print("interrupted; the same command goes on where this one was")
            raise
    _print(summary, output.output, console)
    return BAD_VIDEOS if summary.problems and not (output.keep_going and summary.videos) else 0


def _left(progress: Progress, seconds: float) -> str:
    """How long the rest takes at the mean rate so far; nothing before there is one."""
    if not progress.bytes_done or not progress.bytes_left:
        return ""
    return f"; about {clock(seconds * progress.bytes_left / progress.bytes_done)} left"


def _print(summary: BatchSummary, output: str, console: Console) -> None:
    archive = summary.archive
    console.print(
        f"{archive.videos} videos, {clock(3600 * archive.hours)} of video: {archive.sightings} sightings in "
        f"{archive.videos_with_sightings} videos",
        highlight=False,
    )
    console.print(f"wrote {output}: index.html, videos.csv, detections/", highlight=False, soft_wrap=True)
    if summary.problems:
        console.print(f"not read, or only in part ({len(summary.problems)}):", highlight=False)
        for line in summary.problems:
            console.print(f"  {line}", highlight=False, soft_wrap=True)
