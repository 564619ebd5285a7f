"""A batch cuts videos into chunks, and its tables are those of one run over each whole file."""

import json
from pathlib import Path

import pytest

from rtpolyp.batch.job import Job, Step
from rtpolyp.batch.storage import find_videos
from rtpolyp.batch.worker import Finished, Worker
from rtpolyp.inference.bundle import Bundle
from rtpolyp.video.video_file import VideoFile
from tests.runtime.batch.scenes import (
    OPEN,
    THRESHOLD,
    batch_here,
    frames_of,
    recipe,
    rows,
    scene_clip,
    sequential,
)

CHUNK_SECONDS = 3.0


@pytest.fixture(scope="module")
def tiny(bundle: Bundle) -> Path:
    return bundle.folder


def job(out: Path, bundle: Path, **changes: object) -> Job:
    return Job(
        str(out), recipe(bundle), THRESHOLD, **{"pages": False, "chunk_seconds": CHUNK_SECONDS} | changes
    )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, tiny: Path):
    """A video with open groups of pictures in a folder of its own, and the rows of one run over it."""
    folder = tmp_path_factory.mktemp("scene")
    (folder / "videos").mkdir()
    video = scene_clip(folder / "videos" / "scene.mkv", seed=1, seconds=12, options=OPEN)
    return video, sequential(video, tiny, folder)


def test_rows_of_chunks_are_those_of_one_run(tmp_path: Path, tiny: Path, scene):
    video, expected = scene
    batch_here(video.parent, job(tmp_path, tiny))
    assert max(row[1] for row in expected) > 3  # tracks
    assert rows(tmp_path, video.name) == expected
    assert [frame.pts for frame in frames_of(tmp_path, video.name)] == _pts(video)
    assert not list(tmp_path.rglob("chunks/**/*.parquet"))


def test_without_a_warm_up_they_would_not_be(
    tmp_path: Path, tiny: Path, scene, monkeypatch: pytest.MonkeyPatch
):
    video, expected = scene
    monkeypatch.setattr("rtpolyp.batch.worker.WARM_UP_SECONDS", 0.0)
    batch_here(video.parent, job(tmp_path, tiny))
    assert rows(tmp_path, video.name) != expected


def test_a_resumed_batch_has_the_rows_of_an_uninterrupted_one(tmp_path: Path, tiny: Path):
    (tmp_path / "videos" / "ward 1").mkdir(parents=True)
    names = ["ward 1/a.mp4", "b.mkv"]
    for seed, name in enumerate(names):
        scene_clip(tmp_path / "videos" / name, seed=seed, seconds=4)
    batch_here(tmp_path / "videos", job(tmp_path / "whole", tiny))
    for most in (1, 2):
        batch_here(tmp_path / "videos", job(tmp_path / "resumed", tiny), most=most)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "resumed").rglob("chunks/**/*.parquet")}
    assert kept
    batch_here(tmp_path / "videos", job(tmp_path / "resumed", tiny))
    for name in names:
        assert frames_of(tmp_path / "resumed", name) == frames_of(tmp_path / "whole", name)


def test_a_file_that_breaks_off_gives_what_is_before(tmp_path: Path, tiny: Path):
    (tmp_path / "videos").mkdir()
    video = scene_clip(tmp_path / "videos" / "cut.mkv", seed=2, seconds=8)
    with video.open("r+b") as file:
        file.truncate(int(0.8 * video.stat().st_size))
    schedule = batch_here(tmp_path / "videos", job(tmp_path / "out", tiny))
    assert "cut off" in schedule.summaries["cut.mkv"].problem
    assert 100 < schedule.summaries["cut.mkv"].frames < 200


def test_overlay_coco_and_page_are_made_from_the_tables_also_later(tmp_path: Path, tiny: Path):
    (tmp_path / "videos").mkdir()
    video = scene_clip(tmp_path / "videos" / "a.mp4", seed=3, seconds=4)
    out = tmp_path / "out"
    batch_here(tmp_path / "videos", job(out, tiny))
    before = rows(out, "a.mp4")
    batch_here(tmp_path / "videos", job(out, tiny, overlay=True, coco=True, pages=True))
    assert rows(out, "a.mp4") == before
    with VideoFile(out / "overlays" / "a.mp4.mp4") as overlay:
        assert sum(1 for _ in overlay) == len(_pts(video))
    coco = json.loads((out / "coco" / "a.mp4" / "annotations" / "instances_default.json").read_text())
    assert len(coco["images"]) == len(_pts(video))
    assert [one["track_id"] for one in coco["annotations"]] == [row[1] for row in before]
    assert "data:image/jpeg" in (out / "pages" / "a.mp4.html").read_text()


def test_a_video_that_is_done_is_not_read_again(tmp_path: Path, tiny: Path):
    (tmp_path / "videos").mkdir()
    path = scene_clip(tmp_path / "videos" / "a.mp4", seed=3, seconds=2)
    batch_here(tmp_path / "videos", job(tmp_path / "out", tiny))
    (video,) = find_videos([str(path)])
    path.unlink()
    worker = Worker(job(tmp_path / "out", tiny))
    worker.open()
    found = worker.do(Step("divide", video))
    worker.close()
    assert isinstance(found, Finished)
    assert found.summary.frames == 50


def test_a_video_that_changed_is_analysed_again(tmp_path: Path, tiny: Path):
    (tmp_path / "videos").mkdir()
    for seed in (4, 5):
        video = scene_clip(tmp_path / "videos" / "a.mp4", seed=seed, seconds=4)
        batch_here(tmp_path / "videos", job(tmp_path / "out", tiny))
    assert rows(tmp_path / "out", "a.mp4") == sequential(video, tiny, tmp_path)


def _pts(video: Path) -> list[int]:
    with VideoFile(video) as source:
        return [frame.pts for frame in source]
