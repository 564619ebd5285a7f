"""Live streams: what is late, what is dropped, and from when latency counts."""

import itertools
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect
from rtpolyp.measure.benchmark.clip import HELD, ClipFeed, read_excerpt
from rtpolyp.measure.benchmark.conditions import Conditions
from rtpolyp.measure.benchmark.samples import Measurement, Schedule
from rtpolyp.measure.benchmark.stream import (
    GLASS,
    TRIALS,
    WORK,
    Overrun,
    find_saturation,
    measure_stream,
)
from tests.runtime.clips import Clip, code_of, make_clip
from tests.runtime.red_disc import SPEC, disc_clip
from tests.runtime.stub_engine import StubEngine

WHOLE = Rect(0, 0, 160, 128)
FRAMES = 7  # of the clip, which is played over and over


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return disc_clip(tmp_path / "disc.mp4", frames=FRAMES)


def test_a_feed_plays_the_clip_again_with_times_that_go_on(tmp_path):
    path = make_clip(tmp_path / "coded.mp4", Clip(frames=FRAMES, start=900))
    with ClipFeed(path, Schedule(0.0, 3600.0)) as feed:
        frames = list(itertools.islice(feed, 3 * FRAMES))
    assert [code_of(frame.to_bgr()) for frame in frames] == 3 * list(range(FRAMES))
    assert [frame.index for frame in frames] == list(range(3 * FRAMES))
    assert {b.pts - a.pts for a, b in itertools.pairwise(frames)} == {frames[1].pts - frames[0].pts}
    assert [frame.native.pts for frame in frames] == [frame.pts for frame in frames]
    assert len(feed.arrivals) == len(frames)
    assert not feed.dropped


def test_a_live_feed_gives_no_frame_before_it_is_due(clip):
    rate, taken = 50.0, []
    with ClipFeed(clip, Schedule(0.1, 0.1), rate) as feed:
        for _ in feed:
            taken.append(time.perf_counter())
    dues = np.array([arrival.at for arrival in feed.arrivals])
    assert (np.array(taken) >= dues).all()
    assert len(feed.arrivals) >= 10
    assert (dues - dues[0]) * rate == pytest.approx(np.round((dues - dues[0]) * rate), abs=1e-3)


def test_a_live_feed_drops_what_was_not_taken_in_time(tmp_path):
    path = make_clip(tmp_path / "coded.mp4", Clip(frames=FRAMES))
    rate, frames = 100.0, []
    with ClipFeed(path, Schedule(0.0, 0.5), rate) as feed:
        for frame in feed:
            frames.append(frame)
            if frame.index == 5:
                time.sleep(0.2)  # twenty are due in that time
    start = feed.arrivals[0].at
    due = [round((at - start) * rate) for at in feed.dropped]
    assert set(range(6, 6 + 20 - HELD)) <= set(due)
    assert sorted([*due, *(frame.index for frame in frames)]) == list(range(len(frames) + len(due)))
    # dropped frames are passed over, not put off: each picture is the one of its time
    assert all(code_of(frame.to_bgr()) == frame.index % FRAMES for frame in frames)


def test_full_speed_follows_every_frame_through_every_stage(clip):
    with StubEngine(SPEC, delay_seconds=0.002) as engine:
        measured = measure_stream(engine, clip, WHOLE, Schedule(0.1, 0.5))
    samples = measured.samples
    assert len({len(samples[stage]) for stage in (GLASS, "queue wait", *WORK)}) == 1
    assert samples["engine"].min() >= 2
    parts = np.sum([samples[stage] for stage in (*WORK, "queue wait")], axis=0)
    assert samples[GLASS] == pytest.approx(parts)
    assert samples["queue wait"].min() > 0
    assert measured.headline == "throughput"
    assert measured.dropped is measured.late is None
    assert "core-milliseconds a frame" in measured.notes[0]


def test_a_hiccup_shows_in_the_frames_that_wait_behind_it(clip):
    interval, pause, at = 40.0, 200.0, 10
    with StubEngine(SPEC, delay_seconds=0.002, pauses={at: pause / 1000}) as engine:
        measured = measure_stream(engine, clip, WHOLE, Schedule(0.0, 1.2), rate=1000 / interval)
    latency = measured.samples[GLASS]
    assert measured.name == "end to end, live at 25 frames/s"
    assert measured.headline == GLASS
    for behind in range(5):  # each was due one interval later, and none is done before the pause is over
        assert latency[at + behind] >= pause - behind * interval
    assert measured.figures[GLASS].maximum >= pause
    assert measured.late >= 4


def test_an_engine_that_is_too_slow_drops_frames_and_is_late(clip):
    with StubEngine(SPEC, capacity=1, delay_seconds=0.1) as engine:
        measured = measure_stream(engine, clip, WHOLE, Schedule(0.0, 1.0), rate=50)
    taken = len(measured.samples[GLASS])
    assert measured.dropped + taken >= 50
    assert measured.dropped > taken  # ten a second can be taken, and what pipeline and source hold
    assert measured.late == taken


def test_a_stream_that_keeps_up_drops_nothing(clip):
    with StubEngine(SPEC) as engine:
        measured = measure_stream(engine, clip, WHOLE, Schedule(0.0, 0.2), rate=16)
    assert measured.dropped == 0
    assert len(measured.samples[GLASS]) == 20  # ten of each request in flight


@pytest.mark.parametrize("rate", [0, -25, 1e9, float("nan")])
def test_a_rate_that_is_none_fails(clip, rate):
    with pytest.raises(InputError, match="no rate for a stream"):
        ClipFeed(clip, Schedule(), rate)


def test_images_are_no_clip(tmp_path):
    cv2.imwrite(str(tmp_path / "one.png"), np.zeros((96, 128, 3), np.uint8))
    with pytest.raises(InputError, match="give a video"):
        read_excerpt(tmp_path / "one.png", SPEC)


def test_a_stream_that_overruns_everything_fails_and_ends(clip):
    with (
        StubEngine(SPEC, capacity=1, delay_seconds=0.5) as engine,
        pytest.raises(Overrun, match=r"frames came through .* lower the pace"),
    ):
        measure_stream(engine, clip, WHOLE, Schedule(0.4, 0.0), rate=1000)


def test_an_excerpt_spans_the_clip_and_finds_the_picture(tmp_path):
    excerpt = read_excerpt(make_clip(tmp_path / "long.mp4", Clip(frames=40)), SPEC)
    assert [code_of(frame.to_bgr()) for frame in excerpt.frames] == [0, 8, 16, 24, 32]
    assert [pixels.shape for pixels in excerpt.inputs()] == 5 * [(1, 96, 128, 3)]


def live(rate: float, limit: float, dropped: int = 0) -> Measurement:
    """A stream whose latency is one interval at `limit` frames/s."""
    samples = {GLASS: np.full(100, 1000 / limit - 1e-6)}
    return Measurement("live", GLASS, "stub", samples, Conditions(None, None, None, None), dropped=dropped)


@pytest.mark.parametrize("limit", [8.0, 30.0, 47.0, 95.0, 200.0])
def test_the_search_closes_in_on_the_highest_rate(limit: float):
    found = find_saturation(lambda rate: live(rate, limit), first=30)
    assert 0.9 * limit <= found.rate <= limit
    assert len(found.trials) <= TRIALS
    assert all(trial.kept_up == (trial.rate <= limit) for trial in found.trials)


def test_a_drop_is_not_keeping_up():
    found = find_saturation(lambda rate: live(rate, 1000, dropped=int(rate > 20)), first=60)
    assert 17 <= found.rate <= 20


def test_an_overrun_is_not_keeping_up():
    def measure(rate: float) -> Measurement:
        if rate > 20:
            raise Overrun("clip: 0 frames came through")
        return live(rate, 1000)

    found = find_saturation(measure, first=60)
    assert 17 <= found.rate <= 20
    assert found.trials[0].p99_ms is None


def test_where_nothing_keeps_up_there_is_no_rate():
    found = find_saturation(lambda rate: live(rate, 0.01), first=60)
    assert found.rate is None
    assert len(found.trials) == TRIALS


def test_no_real_stream_is_faster_than_its_latency_allows(clip):
    with StubEngine(SPEC, capacity=1, delay_seconds=0.02) as engine:
        schedule = Schedule(0.05, 0.2)
        found = find_saturation(
            lambda rate: measure_stream(engine, clip, WHOLE, schedule, rate=rate), first=60
        )
    assert found.rate is None or found.rate < 50  # 20 ms must fit into one interval
    assert not found.trials[0].kept_up or found.trials[0].rate < 50
