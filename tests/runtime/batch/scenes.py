"""Clips in which outlines come, doubt, blink, meet and go, and a batch that runs in this process."""

import json
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.batch.job import Job, Video
from rtpolyp.batch.schedule import Schedule
from rtpolyp.batch.storage import Storage, find_videos
from rtpolyp.batch.tables import FoundFrame, read_video
from rtpolyp.batch.worker import Worker
from rtpolyp.inference.isolated.engine import EngineRecipe
from rtpolyp.pipeline import settings_for
from rtpolyp.run import run_file
from rtpolyp.video.outputs import Outputs
from tests.runtime.clips import Clip, make_clip

__all__ = ["CLOSED", "OPEN", "THRESHOLD", "batch_here", "recipe", "rows", "scene_clip", "sequential"]

CLOSED = {"preset": "ultrafast", "crf": "20", "g": "25", "bf": "2"}  # a keyframe each second
OPEN = CLOSED | {"x264-params": "open-gop=1:keyint=25:bframes=3"}
RATE = 25
THRESHOLD = 0.7  # above the tracker's lower one: outlines are held through doubt


def scene_clip(path: Path, *, seed: int, seconds: float, options: dict[str, str] | None = None) -> Path:
    """Three discs that wander, each red, faintly red or away for a quarter of a second to two."""
    random = np.random.default_rng(seed)
    frames = round(seconds * RATE)
    levels = np.concatenate([_levels(random, frames) for _ in range(3)], axis=1)
    phases = random.uniform(0, 2 * np.pi, 6)

    def draw(index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        width, height = size
        bgr = np.full((height, width, 3), (90, 100, 140), np.uint8)
        for number in range(3):
            x = width * (0.5 + 0.4 * np.sin(index / 40 + phases[number]))
            y = height * (0.5 + 0.35 * np.sin(index / 55 + phases[number + 3]))
            level = int(levels[index, number])
            if level:
                colour = (90 - level // 3, 100 - level // 3, 140 + level)
                cv2.circle(bgr, (int(x), int(y)), height // 8, colour, -1)
        return bgr

    return make_clip(path, Clip(frames=frames, rate=Fraction(RATE), options=options or CLOSED), draw)


def _levels(random: np.random.Generator, frames: int) -> NDArray[np.int64]:
    parts: list[NDArray[np.int64]] = []
    while sum(map(len, parts)) < frames:
        level = random.choice((0, 0, 28, 36, 44, 90))
        parts.append(np.full(random.integers(1, 50), level))
    return np.concatenate(parts)[:frames, np.newaxis]


def recipe(bundle: Path) -> EngineRecipe:
    return EngineRecipe(bundle, "openvino", "fp32", 1, optimise_for="throughput")


def sequential(video: Path, bundle: Path, folder: Path) -> list[tuple[object, ...]]:
    """The rows of one run over the whole file."""
    lines = folder / "run.jsonl"
    with recipe(bundle)() as engine:
        settings = settings_for(engine.spec, threshold=THRESHOLD)
        run_file(video, Outputs(json=lines), model=engine, settings=settings)
    found = (json.loads(line) for line in lines.read_text().splitlines())
    frames = [line for line in found if "polyps" in line]
    return [_row(frame["pts"], polyp) for frame in frames for polyp in frame["polyps"]]


def rows(out: Path, name: str) -> list[tuple[object, ...]]:
    """The rows of a video of a batch."""
    return [_row(frame.pts, polyp) for frame in frames_of(out, name) for polyp in frame.polyps]


def frames_of(out: Path, name: str) -> list[FoundFrame]:
    frames, detections = (out / kind / f"{name}.parquet" for kind in ("frames", "detections"))
    return read_video(frames.read_bytes(), detections.read_bytes(), name)[0]


def _row(pts: int, polyp: dict[str, object]) -> tuple[object, ...]:
    contour = np.float32(polyp["contour"]).tobytes()
    return pts, polyp["track"], *polyp["box"], polyp["area"], polyp["confidence"], contour


def batch_here(source: Path, job: Job, *, most: int | None = None) -> Schedule:
    """Run a batch by one worker in this process; with `most`, cut it off after so many steps."""
    videos: list[Video] = find_videos([str(source)])
    Storage(job.out).begin()
    schedule, worker = Schedule(videos, lambda progress: None), Worker(job)
    worker.open()
    while not schedule.is_done and most != 0:
        step = schedule.next(0)
        assert step is not None
        schedule.done(step, worker.do(step))
        most = None if most is None else most - 1
    worker.close()
    return schedule
