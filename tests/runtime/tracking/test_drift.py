"""DriftWatch: a stretch of a stream decides, never a frame."""

import dataclasses

import numpy as np
import pytest

from rtpolyp.imaging.appearance import TRAITS, measure_appearance
from rtpolyp.imaging.training_sources import TrainingSources
from rtpolyp.tracking.drift import FEWEST, STEP_SECONDS, WINDOW, DriftWatch
from tests.runtime.red_disc import SPEC, textured_disc

UNSURE = np.zeros((SPEC.height, SPEC.width), np.uint8)


def known_spec(*frames: np.ndarray):
    """A spec whose one training source looks like these frames."""
    rows = np.stack([measure_appearance(frame, UNSURE) for frame in frames])
    spread = np.diag(np.square(rows.std(axis=0) + 0.1))
    sources = TrainingSources(("discs",), (len(rows),), rows.mean(axis=0)[None], spread[None], limit=30.0)
    return dataclasses.replace(SPEC, appearance=sources.to_dict())


def usual(index: int) -> np.ndarray:
    return textured_disc(index, SPEC.size)


def bluish(index: int) -> np.ndarray:
    return np.ascontiguousarray(usual(index)[..., ::-1])


@pytest.fixture(scope="module")
def spec():
    return known_spec(*(usual(index) for index in range(12)))


def watched(spec, frames) -> list[str]:
    """What is said of frames that come a step apart."""
    watch = DriftWatch(spec)
    said = [watch(frame, UNSURE, index * STEP_SECONDS) for index, frame in enumerate(frames)]
    return [how for how in (*said, watch.finish()) if how is not None]


def test_a_stream_like_the_sources_is_left_in_peace(spec):
    assert watched(spec, [usual(index % 12) for index in range(3 * WINDOW)]) == []


def test_another_stream_is_described_once_a_window(spec):
    said = watched(spec, [bluish(index % 12) for index in range(2 * WINDOW)])
    assert len(said) == 2
    assert said[0].startswith("with more shades of blue")


def test_frames_of_another_kind_that_are_few_decide_nothing(spec):
    assert watched(spec, [usual(index) if index % 3 else bluish(index) for index in range(WINDOW)]) == []


@pytest.mark.parametrize(("frames", "said"), [(FEWEST - 1, 0), (FEWEST, 1)])
def test_a_short_stream_is_judged_at_its_end_or_not_at_all(spec, frames: int, said: int):
    assert len(watched(spec, [bluish(index) for index in range(frames)])) == said


def test_two_frames_a_second_are_measured(spec, monkeypatch):
    measured = []
    monkeypatch.setattr(
        "rtpolyp.tracking.drift.measure_appearance",
        lambda *frame: measured.append(frame) or np.zeros(len(TRAITS)),
    )
    watch = DriftWatch(spec)
    for index in range(100):
        watch(usual(0), UNSURE, index / 25)
    assert len(measured) == pytest.approx(100 / 25 / STEP_SECONDS, abs=1)


def test_time_that_starts_anew_is_no_trouble(spec):
    watch = DriftWatch(spec)
    times = [index * STEP_SECONDS for index in (*range(WINDOW - 3), *range(3))]
    assert [watch(bluish(0), UNSURE, seconds) for seconds in times][-1] is not None


def test_a_bundle_without_statistics_says_nothing():
    assert not DriftWatch(SPEC).able
    assert watched(SPEC, [bluish(index) for index in range(WINDOW)]) == []
