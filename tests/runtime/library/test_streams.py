"""Model.stream over files, folders, arrays and live sources."""

import contextlib
import threading
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from rtpolyp.errors import EngineError, InputError
from rtpolyp.library.model import Model
from rtpolyp.video.source import open_source
from tests.runtime.clips import Clip, code_of, make_clip
from tests.runtime.red_disc import SPEC, disc, disc_clip, textured_disc
from tests.runtime.stub_engine import StubEngine
from tests.runtime.video.senders import http_sender, http_url

SIZE = 320, 240


@pytest.fixture
def producers() -> Callable[[], list[str]]:
    """Names of our threads that the test has begun and that have not ended."""
    earlier = set(threading.enumerate())
    return lambda: [
        thread.name for thread in set(threading.enumerate()) - earlier if thread.name.startswith("rtpolyp-")
    ]


def test_a_video_keeps_its_timestamps_and_tracks(model, tmp_path):
    pts = [1000, 1512, 2536, 3048, 5000]  # of 12800 a second
    clip = disc_clip(tmp_path / "clip.mp4", size=SIZE, frames=5, pts=pts)
    results = list(model.stream(clip))
    with open_source(clip) as source:
        assert [result.pts_seconds for result in results] == [frame.pts_seconds for frame in source]
    assert np.diff([result.pts_seconds for result in results]) == pytest.approx(np.diff(pts) / 12_800)
    assert [result.index for result in results] == list(range(5))
    assert [result.polyps[0].track for result in results] == [1] * 5
    assert results[0].frame is not None
    assert results[0].image.shape == (240, 320, 3)
    assert (results[0].draw() != results[0].image).any()


def test_a_video_raises_alerts(model, tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", Clip(size=SIZE, frames=10), textured_disc)
    started = [result.alert.started for result in model.stream(clip, alert_delay_ms=200)]
    assert started.index(True) == 5
    assert sum(started) == 1


def test_images_of_a_folder_stand_alone(model, tmp_path):
    for index, size in enumerate((SIZE, (200, 160))):
        cv2.imwrite(str(tmp_path / f"{index}.png"), disc(index, size))
    results = list(model.stream(tmp_path))
    assert [(result.name, result.size) for result in results] == [("0", SIZE), ("1", (200, 160))]
    assert {(r.pts_seconds, r.alert, r.quality, r.polyps[0].track) for r in results} == {(None,) * 4}


def test_arrays_come_at_their_rate_and_one_at_a_time(model):
    taken = []

    def arrays():
        for index in range(4):
            taken.append(index)
            yield disc(index, SIZE)

    for index, result in enumerate(model.stream(arrays(), frame_rate=50)):
        assert taken == list(range(index + 1))
        assert result.pts_seconds == index / 50
        assert result.polyps[0].track == 1
    with pytest.raises(InputError, match=r"frame_rate 0 is outside \(0, inf\): give frames a second"):
        model.stream([], frame_rate=0)


def test_a_slow_loop_over_a_live_source_sees_the_newest_frames(tmp_path, producers):
    clip = make_clip(tmp_path / "clip.ts", Clip(size=SIZE, frames=50))
    with (
        http_sender(clip, seconds=2.0) as port,
        Model(StubEngine(SPEC, delay_seconds=0.3)) as model,
        contextlib.closing(model.stream(http_url(port))) as stream,
    ):
        results = [next(stream) for _ in range(5)]
    steps = np.diff([int(result.name) for result in results])
    assert (steps >= 1).all()
    assert steps.max() > 2  # of a frame each 40 ms, some were left out
    assert (np.diff([result.pts_seconds for result in results]) > 0).all()
    assert 0 <= code_of(results[-1].image) < 50
    assert producers() == []


def test_leaving_a_stream_early_ends_its_threads(model, tmp_path, producers):
    clip = disc_clip(tmp_path / "clip.mp4", size=SIZE, frames=50)
    for result in model.stream(clip):
        assert result.index == 0
        break
    assert producers() == []


def test_other_pictures_may_be_looked_at_within_a_stream(model, tmp_path):
    clip = disc_clip(tmp_path / "clip.mp4", size=SIZE, frames=20)
    for result in model.stream(clip):
        (polyp,) = model(result.image).polyps
        assert polyp.track is None


def test_sources_that_are_not_there_are_named_at_once(model, tmp_path):
    with pytest.raises(InputError, match=r"none\.mp4: no such file"):
        model.stream(tmp_path / "none.mp4")


def test_a_failing_engine_ends_the_stream(tmp_path, producers):
    clip = disc_clip(tmp_path / "clip.mp4", size=SIZE, frames=20)
    with Model(StubEngine(SPEC, fail_at=[3])) as model:
        results = []
        with pytest.raises(EngineError, match="inference failed"):
            results.extend(model.stream(clip))
    assert len(results) <= 3
    assert producers() == []
