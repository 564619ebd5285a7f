"""The pipeline with a real source and an engine that needs no network."""

import threading
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp import pipeline
from rtpolyp.errors import EngineError, InputError
from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.picture import PICTURE_FRAMES
from rtpolyp.pipeline import AHEAD, draw, segment, settings_for
from rtpolyp.timing import StageTimer
from rtpolyp.tracking.smoothing import TemporalSmoother
from rtpolyp.tracking.tracker import PolypTracker
from rtpolyp.video.array_source import ArraySource
from rtpolyp.video.source import open_source
from tests.runtime.red_disc import SPEC, disc, disc_clip, textured_disc
from tests.runtime.stub_engine import StubEngine
from tests.runtime.tracking.test_drift import known_spec

SIZE = (160, 128)
ENDS_WITHIN_SECONDS = 1.0  # what a failure anywhere may take to end the run


def producers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "rtpolyp-producer"]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return disc_clip(tmp_path / "disc.mp4", frames=20)


def test_every_frame_comes_once_in_order_with_its_own_time(tmp_path):
    pts = [0, 512, 1024, 2600, 2700, 5000, 5512]
    with open_source(disc_clip(tmp_path / "vfr.mp4", pts=pts)) as source, StubEngine(SPEC) as engine:
        results = list(segment(source, engine))
    assert [result.frame.index for result in results] == list(range(len(pts)))
    assert [result.segmentation.index for result in results] == list(range(len(pts)))
    expected = [float(tick * Fraction(1, 12_800)) for tick in pts]
    assert [result.segmentation.pts_seconds for result in results] == pytest.approx(expected)


def test_the_disc_is_found_where_it_is(clip):
    with open_source(clip) as source, StubEngine(SPEC) as engine:
        tracker = PolypTracker(TemporalSmoother(0))
        found = [result.segmentation for result in segment(source, engine, tracker=tracker)]
    for index, segmentation in enumerate(found):
        (polyp,) = segmentation.polyps
        centre = polyp.box.x + polyp.box.width / 2, polyp.box.y + polyp.box.height / 2
        assert centre == pytest.approx((SIZE[0] // 4 + 2 * index, SIZE[1] // 2), abs=2.5)
        assert polyp.area == pytest.approx(np.pi * (SIZE[1] // 6) ** 2, rel=0.15)


def test_results_do_not_depend_on_the_order_in_which_the_engine_finishes(clip):
    def areas(capacity: int, delay: float) -> list[float]:
        with (
            open_source(clip) as source,
            StubEngine(SPEC, capacity=capacity, delay_seconds=delay) as engine,
        ):
            return [result.segmentation.polyps[0].area for result in segment(source, engine)]

    assert areas(1, 0.0) == areas(4, 0.004)


def test_the_network_sees_the_crop_only(clip):
    crop = Rect(0, 0, 80, 128)
    with open_source(clip) as source, StubEngine(SPEC) as engine:
        results = list(segment(source, engine, crop=crop))
    assert all(result.segmentation.view.crop == crop for result in results)
    right_edges = [p.box.x + p.box.width for result in results for p in result.segmentation.polyps]
    assert max(right_edges) <= 80


def test_a_dark_border_is_cropped_by_itself(tmp_path):
    def bordered(index, size):
        picture = np.zeros((size[1], size[0], 3), np.uint8)
        picture[:, 64:] = disc(index, (size[0] - 64, size[1]))
        return picture

    arrays = [bordered(index, (256, 192)) for index in range(15)]
    with ArraySource(arrays, (256, 192), Fraction(25)) as source, StubEngine(SPEC) as engine:
        views = [result.segmentation.view for result in segment(source, engine)]
    assert len(set(views)) == 1
    assert views[0].crop.x == pytest.approx(64, abs=8)
    assert views[0].crop.width == pytest.approx(192, abs=8)


def test_images_stand_alone(tmp_path):
    for index, size in enumerate([(160, 128), (320, 200), (96, 96)]):
        cv2.imwrite(str(tmp_path / f"{index}.png"), disc(0, size) if index != 1 else disc(0, size) // 2 + 20)
    with open_source(tmp_path) as source, StubEngine(SPEC) as engine:
        results = list(segment(source, engine))
    assert [result.frame.size for result in results] == [(160, 128), (320, 200), (96, 96)]
    for result in results:
        assert (
            result.segmentation.view.frame_width,
            result.segmentation.view.frame_height,
        ) == result.frame.size
    assert len(results[2].segmentation.polyps) == 1


def test_engine_and_what_follows_overlap(clip):
    delay, frames = 0.03, 20
    with open_source(clip) as source, StubEngine(SPEC, delay_seconds=delay) as engine:
        start = time.perf_counter()
        for _ in segment(source, engine):
            time.sleep(delay)  # drawing and encoding
        elapsed = time.perf_counter() - start
    assert elapsed < 0.8 * 2 * delay * frames


def test_a_slow_consumer_bounds_what_is_decoded():
    taken = 0

    def arrays():
        nonlocal taken
        for index in range(200):
            taken += 1
            yield disc(index % 20, SIZE)

    with ArraySource(arrays(), SIZE, Fraction(25)) as source, StubEngine(SPEC) as engine:
        results = segment(source, engine)
        next(results)
        time.sleep(0.5)
        # in the queue, in the consumer's hand, and the one that waits to be queued
        assert taken <= max(PICTURE_FRAMES, engine.capacity + AHEAD + 2)
        results.close()


def test_closing_early_stops_the_producer(clip):
    with open_source(clip) as source, StubEngine(SPEC, delay_seconds=0.01) as engine:
        results = segment(source, engine)
        next(results)
        assert producers()
        results.close()
        assert not producers()


def test_a_failing_engine_ends_the_run(clip):
    with open_source(clip) as source, StubEngine(SPEC, fail_at={3}) as engine:
        results = segment(source, engine)
        for _ in range(3):
            next(results)
        start = time.perf_counter()
        with pytest.raises(EngineError, match="request 3"):
            list(results)
    assert time.perf_counter() - start < ENDS_WITHIN_SECONDS
    assert not producers()


def test_a_failing_source_ends_the_run_after_its_last_good_frame():
    def arrays():
        yield from (disc(index, SIZE) for index in range(15))
        yield np.zeros((4, 4, 3), np.uint8)

    results = []
    with ArraySource(arrays(), SIZE, Fraction(25)) as source, StubEngine(SPEC) as engine:
        start = time.perf_counter()
        with pytest.raises(InputError, match="array 15"):
            results.extend(segment(source, engine))  # extend keeps what came before the error
    assert time.perf_counter() - start < ENDS_WITHIN_SECONDS + 1
    assert len(results) == 15
    assert not producers()


def test_a_hanging_engine_ends_the_run(clip, monkeypatch):
    monkeypatch.setattr(pipeline, "ENGINE_TIMEOUT_SECONDS", 0.2)
    with open_source(clip) as source, StubEngine(SPEC, hang_at={2}) as engine:
        with pytest.raises(EngineError, match="no answer"):
            list(segment(source, engine))
        assert not producers()


def test_the_timer_sees_every_stage_of_every_frame(clip):
    timer = StageTimer()
    with open_source(clip) as source, StubEngine(SPEC, delay_seconds=0.002) as engine:
        count = len(list(segment(source, engine, timer=timer)))
    samples = timer.samples()
    assert {stage: len(seconds) for stage, seconds in samples.items()} == dict.fromkeys(
        ("decode", "resize", "engine", "wait", "postprocess"), count
    )
    assert min(samples["engine"]) >= 0.002


def test_drawing_touches_a_copy(clip):
    settings = settings_for(SPEC)
    with open_source(clip) as source, StubEngine(SPEC) as engine:
        result = next(segment(source, engine))
        before = result.frame.luma().copy()
        drawn = draw(result, settings)
    assert drawn is not result.frame
    assert np.array_equal(result.frame.luma(), before)
    assert not np.array_equal(drawn.luma(), before)


def test_nothing_to_draw_costs_no_copy(clip):
    with open_source(clip) as source, StubEngine(SPEC) as engine:
        result = next(segment(source, engine, settings_for(SPEC, threshold=0.999)))
    assert result.segmentation.polyps == ()
    assert draw(result, settings_for(SPEC)) is result.frame


def test_settings_come_from_the_bundle_and_can_be_changed():
    settings = settings_for(SPEC, threshold=0.25, style="fill")
    assert (settings.threshold, settings.style, settings.minimum_area) == (0.25, "fill", SPEC.minimum_area)


@pytest.mark.parametrize(("blue", "said"), [(True, 1), (False, 0)])
def test_a_stream_unlike_the_training_sources_is_remarked_on_once(blue, said):
    spec = known_spec(*(textured_disc(index, SPEC.size) for index in range(8)))
    frames = (textured_disc(index, SPEC.size) for index in range(45))
    shown = (np.ascontiguousarray(frame[..., ::-1]) if blue else frame for frame in frames)
    source = ArraySource(shown, SPEC.size, Fraction(2))
    with StubEngine(spec) as engine:
        for _ in segment(source, engine):
            pass
    assert len(source.remarks.lines) == said
    assert all(line.startswith("unlike what stub was trained on: ") for line in source.remarks.lines)
