"""Worker: an engine and what it does to videos, one step after another, in whatever process."""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from rtpolyp.batch.job import WARM_UP_SECONDS, Chunk, Division, Job, Step, Video, recipe_like
from rtpolyp.batch.joining import join
from rtpolyp.batch.products import Products
from rtpolyp.batch.storage import Storage, fetch
from rtpolyp.batch.summary import VideoSummary
from rtpolyp.batch.tables import FoundFrame, read_chunk, tables_of, write_chunk
from rtpolyp.errors import InputError
from rtpolyp.imaging.picture import PICTURE_FRAMES, Crop, PictureFinder
from rtpolyp.imaging.quality import FrameQuality
from rtpolyp.inference.engine import Engine
from rtpolyp.pipeline import segment
from rtpolyp.run_header import run_header
from rtpolyp.video.file_parts import FilePart, keyframes_of
from rtpolyp.video.json_sink import describe_polyp
from rtpolyp.video.planes import plane_view
from rtpolyp.video.video_file import VideoFile

__all__ = ["SCRATCH", "Analysed", "Broken", "Divided", "Finished", "Worker", "new_scratch"]

SCRATCH = "rtpolyp-batch-"  # of temporary folders, before the number of the process


@dataclass(frozen=True)
class Divided:
    """A video whose chunks are known."""

    division: Division
    waiting: tuple[int, ...]  # the chunks that no earlier run has written


@dataclass(frozen=True)
class Analysed:
    """A chunk that is written."""

    frames: int  # those that count


@dataclass(frozen=True)
class Finished:
    """A video whose outputs are all written, by this run or an earlier one."""

    summary: VideoSummary


@dataclass(frozen=True)
class Broken:
    """A video of which there is nothing, and why."""

    problem: str  # a line


class Worker:
    """Opens the job's engine, and divides, analyses and finishes videos; each step may be done again.

    Everything that a step leaves is a file of the job's folder that appears whole: a step that is cut off, or
    done twice by two workers, changes nothing.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._engine: Engine | None = None

    def open(self, like: Mapping[str, str] | None = None) -> dict[str, str]:
        """Open the engine; what it is, as all workers of a batch must have it.

        `like` is what the first worker's is. Raises EngineError.
        """
        recipe = self._job.recipe
        engine = self._engine = (recipe if like is None else recipe_like(recipe, like))()
        self._storage = Storage(self._job.out)
        self._scratch = new_scratch()
        self._products = Products(self._job, self._storage, self._scratch, self._job.settings(engine.spec))
        return {
            "rtpolyp": version("rtpolyp"),
            "engine": engine.spec.name,
            "sha256": " ".join(sorted(engine.spec.sha256.values())),
            "backend": engine.backend,
            "precision": engine.precision,
            "threshold": f"{self._job.settings(engine.spec).threshold:g}",
        }

    def do(self, step: Step) -> Divided | Analysed | Finished | Broken:
        """One step. Raises OutputError and EngineError; a video that cannot be read is Broken."""
        try:
            done = self._products.summary(step.video) if step.division is None else None
            if done is not None and not self._products.missing(step.video):
                return Finished(done)  # without a copy of the video
            with fetch(step.video, self._scratch) as path:
                if step.division is None:
                    return self._divide(step.video, path, has_tables=done is not None)
                if step.kind == "chunk":
                    return Analysed(self._analyse(step.division, step.chunk, path))
                return Finished(self._finish(step.division, path))
        except InputError as exc:
            return Broken(" ".join(str(exc).split()))

    def close(self) -> None:
        """Free the engine and what was copied."""
        if self._engine is not None:
            self._engine.close()
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _divide(self, video: Video, path: Path, *, has_tables: bool) -> Divided:
        options = self._job.options
        with VideoFile(path, options) as source:
            assert self._engine is not None
            crop = _picture(source) if self._job.crop == "auto" else self._job.crop
            header = run_header(source, self._engine, self._job.settings(self._engine.spec), crop)
            header |= {"source": video.name, "fingerprint": video.fingerprint(self._job.chunk_seconds)}
            header |= {"time_base": str(source.format.time_base), "frame_rate": str(source.frame_rate or 25)}
            chunks = _chunks(keyframes_of(path, options), source.format.time_base, self._job.chunk_seconds)
            frames = source.frame_count or 0
            division = Division(video, chunks, source.zero, source.format.time_base, crop, header, frames)
        if has_tables:
            return Divided(division, ())
        there = self._storage.names(_folder(video))
        waiting = tuple(index for index in range(len(chunks)) if self._name(division, index) not in there)
        return Divided(division, waiting)

    def _analyse(self, division: Division, index: int, path: Path) -> int:
        assert self._engine is not None
        chunk, problem, frames = division.chunks[index], None, list[FoundFrame]()
        part = None if len(division.chunks) == 1 else FilePart(division.zero, chunk.warm_up, chunk.end)
        try:
            with VideoFile(path, self._job.options, part=part) as source:
                if source.size != division.header["size"]:
                    raise InputError(f"{path}: its picture changes its size; cut the file there")
                results = segment(
                    source, self._engine, self._job.settings(self._engine.spec), crop=division.crop
                )
                judge = FrameQuality()
                for frame, found in results:
                    y, u, v = (plane_view(frame.native, plane) for plane in range(3))
                    quality = judge(y, u, v, frame.pts_seconds, found.view.crop)
                    polyps = tuple(describe_polyp(polyp) for polyp in found.polyps)
                    frames.append(FoundFrame(frame.pts, quality, polyps))
        except InputError as exc:  # the file breaks off: what is before is good
            problem = " ".join(str(exc).split())
        self._storage.write(
            f"{_folder(division.video)}/{self._name(division, index)}",
            write_chunk(frames, {"problem": problem}),
        )
        return sum(frame.pts >= chunk.start for frame in frames)

    def _finish(self, division: Division, path: Path) -> VideoSummary:
        if self._products.summary(division.video) is None:
            chunks, problem = [], None
            for index, chunk in enumerate(division.chunks):
                name = f"{_folder(division.video)}/{self._name(division, index)}"
                frames, about = read_chunk(self._storage.read(name), name)
                chunks.append((chunk.start, frames))
                if problem := about["problem"]:
                    break  # a run over the whole file ends here, too
            joined = join(chunks)
            if problem is not None and not joined:
                raise InputError(problem)
            seconds = [float(frame.pts * division.time_base) for frame in joined]
            self._products.write_tables(
                division.video,
                tables_of(division.video.name, joined, seconds, {**division.header, "problem": problem}),
            )
        for kind in self._products.missing(division.video):
            self._products.write(kind, division.video, path)
        self._storage.remove(_folder(division.video))
        summary = self._products.summary(division.video)
        assert summary is not None
        return summary

    def _name(self, division: Division, index: int) -> str:
        """A chunk's file: another one when the video has changed, or is cut otherwise."""
        return f"{division.header['fingerprint']}-{index:05d}.parquet"


def new_scratch() -> Path:
    """A folder for copies of videos; those that killed workers of this machine have left are deleted."""
    for left in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*"):
        owner = left.name.removeprefix(SCRATCH).partition("-")[0]
        try:
            os.kill(int(owner), 0)  # nothing but a question
        except ProcessLookupError:
            shutil.rmtree(left, ignore_errors=True)
        except (OSError, ValueError):  # another user's
            continue
    return Path(tempfile.mkdtemp(prefix=f"{SCRATCH}{os.getpid()}-"))


def _folder(video: Video) -> str:
    return f"chunks/{video.name}"


def _picture(source: VideoFile) -> Crop:
    """Where the endoscope's picture lies, as a run over the whole file finds it."""
    finder = PictureFinder()
    with suppress(InputError):  # of a file that breaks off: the analysis will say so
        for frame in islice(source, PICTURE_FRAMES):
            finder.add(frame.luma())
    return finder.picture()


def _chunks(keyframes: Sequence[int], time_base: Fraction, seconds: float) -> tuple[Chunk, ...]:
    """Cut at the first keyframe after each `seconds`; the whole file where it has no place for a cut."""
    length, warm_up = seconds / time_base, round(WARM_UP_SECONDS / time_base)
    starts = [0]
    for time in keyframes:
        if time >= starts[-1] + length:
            starts.append(time)
    ends = [*starts[1:], None]
    return tuple(Chunk(max(0, start - warm_up), start, end) for start, end in zip(starts, ends, strict=True))
