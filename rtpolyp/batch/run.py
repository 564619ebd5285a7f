"""run_batch: what `rtpolyp batch` does, as a function."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from rtpolyp.batch.archive_page import render_archive
from rtpolyp.batch.cluster import Pool, connected
from rtpolyp.batch.job import Job, recipe_like
from rtpolyp.batch.manifest import agree_on_manifest, read_manifest
from rtpolyp.batch.products import PLACES
from rtpolyp.batch.schedule import Progress, Schedule
from rtpolyp.batch.storage import Storage, find_videos
from rtpolyp.batch.summary import ArchiveSummary, VideoSummary, archive_of, csv_of
from rtpolyp.checks import require_number

__all__ = ["BatchSummary", "Workers", "run_batch"]


@dataclass(frozen=True)
class Workers:
    """Where a batch runs; raises InputError where a field is not what its line says."""

    ray_address: str | None = None  # of a cluster; None: Ray on this machine
    limit: int | None = None  # of workers; as many as there is room for by default
    gpus: float = 0.0  # share of a card that each takes

    def __post_init__(self) -> None:
        if self.limit is not None:
            require_number("workers", self.limit, least=1, example="a whole number such as 8")
        require_number("gpus", self.gpus, least=0, example="a share such as 0.25")


@dataclass(frozen=True)
class BatchSummary:
    """What a batch came to."""

    archive: ArchiveSummary
    videos: tuple[VideoSummary, ...]  # by name
    problems: tuple[str, ...]  # a line for each video that was not read, or only in part


def run_batch(
    sources: Iterable[str],
    job: Job,
    workers: Workers | None = None,
    *,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> BatchSummary:
    """Analyse all videos of `sources`, on all workers that there are; what an earlier run has done stays.

    A video that cannot be read stands in the summary's `problems`. Raises InputError for sources without a
    video, an address without Ray, and a folder begun with another engine, other settings or another version;
    OutputError where nothing can be written; EngineError where no worker can open the engine; BackendError
    without the extra [batch].

    >>> run_batch(["recordings"], Job("results"))  # doctest: +SKIP
    """
    workers = workers or Workers()
    storage = Storage(job.out)
    known = read_manifest(storage)
    if known is not None:  # an earlier run's, on another machine perhaps
        job = replace(job, recipe=recipe_like(job.recipe, known))
    videos = [video for video in find_videos(sources) if not storage.holds(video)]
    storage.begin()
    cpus = float(job.recipe.threads or 1)
    schedule = Schedule(videos, on_progress)
    with connected(workers.ray_address):
        pool = Pool(job, limit=workers.limit, cpus=cpus, gpus=workers.gpus)
        try:
            _work(pool, schedule, storage, job)
        finally:
            pool.close()
    return _conclude(storage, schedule)


def _work(pool: Pool, schedule: Schedule, storage: Storage, job: Job) -> None:
    agreed = False
    while not schedule.is_done:
        if pool.engine is not None and not agreed:
            agree_on_manifest(storage, job, pool.engine)
            agreed = True
        for number in pool.idle():
            step = schedule.next(number)
            if step is not None:
                pool.submit(number, step)
        for outcome in pool.collect():
            if outcome.result is None:
                schedule.lost(outcome.step, outcome.why)
            else:
                schedule.done(outcome.step, outcome.result)


def _conclude(storage: Storage, schedule: Schedule) -> BatchSummary:
    """Write the summary, as CSV and as a page."""
    videos = tuple(schedule.summaries[name] for name in sorted(schedule.summaries))
    unread = dict(sorted(schedule.unread.items()))
    archive = archive_of(videos, len(unread))
    empty = (VideoSummary(name, problem=why) for name, why in unread.items())
    storage.write("videos.csv", csv_of([*videos, *empty]))
    storage.write("archive.csv", csv_of([archive]))
    pages = {one.video: PLACES["pages"].format(one.video) for one in videos}
    pages = {name: page for name, page in pages.items() if storage.has(page)}
    storage.write("index.html", render_archive(videos, unread, pages=pages).encode("utf-8"))
    partly = [one.problem for one in videos if one.problem is not None]
    return BatchSummary(archive, videos, (*partly, *unread.values()))
