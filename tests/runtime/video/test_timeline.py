"""Timeline: every sender's clock becomes one that starts at zero and grows."""

from fractions import Fraction
from types import SimpleNamespace

import pytest

from rtpolyp.video.timeline import TIME_BASE, Timeline

NOW = 1000.0  # seconds: the monotonic clock when the first packet comes


def packet(pts, dts=None, kind="video", time_base=Fraction(1, 25), duration=1):
    dts = pts if dts is None else dts
    return SimpleNamespace(
        pts=pts, dts=dts, duration=duration, time_base=time_base, stream=SimpleNamespace(type=kind)
    )


def seconds(timeline: Timeline, arrived: float, *args, **kwargs) -> float:
    placed = packet(*args, **kwargs)
    assert timeline.place(placed, NOW + arrived)
    assert placed.time_base == TIME_BASE
    return float(placed.pts * TIME_BASE)


def test_it_starts_at_zero_and_keeps_the_senders_intervals():
    timeline = Timeline()
    assert seconds(timeline, 0.0, 90_000) == 0.0
    assert seconds(timeline, 0.3, 90_001) == pytest.approx(0.04)  # late by jitter
    assert seconds(timeline, 0.3, 90_005, 90_002) == pytest.approx(0.20)  # shown after others
    assert seconds(timeline, 0.3, 90_003) == pytest.approx(0.12)


def test_after_a_gap_it_goes_on_by_the_wall_clock():
    timeline = Timeline()
    seconds(timeline, 0.0, 500)
    timeline.reopened()
    assert seconds(timeline, 3.0, 7) == pytest.approx(3.0)
    assert seconds(timeline, 3.04, 8) == pytest.approx(3.04)


def test_it_never_goes_back_even_if_the_wall_clock_is_behind():
    timeline = Timeline()
    for index in range(50):  # two seconds of stream at once
        seconds(timeline, 0.0, index)
    timeline.reopened()
    assert seconds(timeline, 0.5, 0) == pytest.approx(2.0)


@pytest.mark.parametrize("jump", [-40, 25 * 3600])
def test_a_clock_that_jumps_is_taken_for_a_new_one(jump):
    timeline = Timeline()
    for index in range(100, 150):
        seconds(timeline, (index - 100) / 25, index)
    assert seconds(timeline, 2.0, 150 + jump) == pytest.approx(2.0)
    assert seconds(timeline, 2.04, 151 + jump) == pytest.approx(2.04)


def test_a_pause_of_the_sender_is_no_jump():
    timeline = Timeline()
    seconds(timeline, 0.0, 0)
    assert seconds(timeline, 60.0, 60 * 25) == pytest.approx(60.0)


def test_packets_without_timestamps_get_the_time_of_their_arrival():
    timeline = Timeline()
    assert seconds(timeline, 0.0, None) == 0.0
    assert seconds(timeline, 0.5, None) == 0.5
    assert seconds(timeline, 0.5, None) == pytest.approx(0.54)  # and grow


def test_sound_is_on_the_clock_of_the_picture():
    timeline = Timeline()
    assert not timeline.place(packet(480, kind="audio", time_base=Fraction(1, 48_000)), NOW)
    seconds(timeline, 0.0, 0)
    assert seconds(timeline, 0.0, 48_000, kind="audio", time_base=Fraction(1, 48_000)) == 1.0
