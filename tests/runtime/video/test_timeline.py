"""Timeline: every sender's clock becomes one that starts at zero and grows."""

from fractions import Fraction
from types import SimpleNamespace

import pytest

from rtpolyp.video import timeline as timeline_module
from rtpolyp.video.timeline import TIME_BASE, Timeline

NOW = 1000.0  # seconds: the monotonic clock when the first packet comes


def packet(pts, dts=None, kind="video", time_base=Fraction(1, 25), duration=1):
    dts = pts if dts is None else dts
    return SimpleNamespace(
        pts=pts,
        dts=dts,
        duration=duration,
        time_base=time_base,
        stream=SimpleNamespace(type=kind, codec_context=None),
        size=1,
    )


def seconds(timeline: Timeline, arrived: float, *args, **kwargs) -> float:
    placed = packet(*args, **kwargs)
    assert timeline.place(placed, NOW + arrived) == [placed]
    assert placed.time_base == TIME_BASE
    return float(placed.pts * TIME_BASE)


def test_it_starts_at_zero_and_keeps_the_senders_intervals():
    timeline = Timeline(live=True, base=TIME_BASE)
    assert seconds(timeline, 0.0, 90_000) == 0.0
    assert seconds(timeline, 0.3, 90_001) == pytest.approx(0.04)  # late by jitter
    assert seconds(timeline, 0.3, 90_005, 90_002) == pytest.approx(0.20)  # shown after others
    assert seconds(timeline, 0.3, 90_003) == pytest.approx(0.12)


def test_after_a_gap_it_goes_on_by_the_wall_clock():
    timeline = Timeline(live=True, base=TIME_BASE)
    seconds(timeline, 0.0, 500)
    timeline.reopened()
    assert seconds(timeline, 3.0, 7) == pytest.approx(3.0)
    assert seconds(timeline, 3.04, 8) == pytest.approx(3.04)


def test_it_never_goes_back_even_if_the_wall_clock_is_behind():
    timeline = Timeline(live=True, base=TIME_BASE)
    for index in range(50):  # two seconds of stream at once
        seconds(timeline, 0.0, index)
    timeline.reopened()
    assert seconds(timeline, 0.5, 0) == pytest.approx(2.0)


@pytest.mark.parametrize("jump", [-40, 25 * 3600])
def test_a_clock_that_jumps_is_taken_for_a_new_one(jump):
    timeline = Timeline(live=True, base=TIME_BASE)
    for index in range(100, 150):
        seconds(timeline, (index - 100) / 25, index)
    assert seconds(timeline, 2.0, 150 + jump) == pytest.approx(2.0)
    assert seconds(timeline, 2.04, 151 + jump) == pytest.approx(2.04)


def test_a_pause_of_the_sender_is_no_jump():
    timeline = Timeline(live=True, base=TIME_BASE)
    seconds(timeline, 0.0, 0)
    assert seconds(timeline, 60.0, 60 * 25) == pytest.approx(60.0)


def test_packets_without_timestamps_get_the_time_of_their_arrival():
    timeline = Timeline(live=True, base=TIME_BASE)
    assert seconds(timeline, 0.0, None) == 0.0
    assert seconds(timeline, 0.5, None) == 0.5
    assert seconds(timeline, 0.5, None) == pytest.approx(0.54)  # and grow


def test_sound_is_on_the_clock_of_the_picture():
    timeline = Timeline(live=True, base=TIME_BASE)
    assert timeline.place(packet(480, kind="audio", time_base=Fraction(1, 48_000)), NOW) == []
    seconds(timeline, 0.0, 0)
    assert seconds(timeline, 0.0, 48_000, kind="audio", time_base=Fraction(1, 48_000)) == 1.0


def placed(timeline: Timeline, *packets) -> list[tuple[str, float]]:
    """Kind and seconds of each packet, in the order in which they get their places."""
    ready = [late for one in packets for late in timeline.place(one)] + timeline.rest()
    return [(one.stream.type, round(float(one.pts * one.time_base), 3)) for one in ready]


def pictures(*ticks):
    return [packet(tick) for tick in ticks]


def sounds(*ticks):
    return [packet(tick, kind="audio") for tick in ticks]


def test_a_file_goes_on_without_a_gap_where_its_clock_goes_back():
    timeline = Timeline(live=False)
    assert placed(timeline, *pictures(100, 101, 102, 50, 51)) == [
        ("video", seconds) for seconds in (0.0, 0.04, 0.08, 0.12, 0.16)
    ]
    assert timeline.last_reset == 0.12
    assert timeline.first_offset == -4


@pytest.mark.parametrize(("may_leap", "after"), [(True, 0.12), (False, 40.08)])
def test_a_leap_ahead_is_a_new_clock_only_where_the_container_may_hold_one(may_leap, after):
    timeline = Timeline(live=False, may_leap=may_leap)
    assert placed(timeline, *pictures(0, 1, 2, 1002))[-1] == ("video", after)


def test_a_pause_in_a_file_is_kept():
    timeline = Timeline(live=False)
    assert placed(timeline, *pictures(0, 1, 200))[-1] == ("video", 8.0)
    assert timeline.last_reset is None


def test_reordered_pictures_are_no_reset():
    timeline = Timeline(live=False)
    packets = [packet(2, 0), packet(6, 1), packet(4, 2), packet(3, 3), packet(5, 4)]
    assert [seconds for _, seconds in placed(timeline, *packets)] == [0.08, 0.24, 0.16, 0.12, 0.2]
    assert timeline.last_reset is None


def test_pictures_whose_first_decoding_times_are_missing_are_no_reset():
    timeline, early = Timeline(live=False), packet(6)
    early.dts = None  # as in Matroska
    assert [seconds for _, seconds in placed(timeline, early, packet(4, 2), packet(3, 3))] == [
        0,
        -0.08,
        -0.12,
    ]
    assert timeline.last_reset is None


@pytest.mark.parametrize("sound_first", [True, False])
def test_sound_follows_the_picture_through_a_joint(sound_first):
    timeline = Timeline(live=False)
    one = [part for tick in range(5) for part in pictures(tick) + sounds(tick)]
    joint = [*sounds(0), *pictures(0)] if sound_first else [*pictures(0), *sounds(5), *sounds(0)]
    ready = placed(timeline, *one, *joint, *sounds(1), *pictures(1))
    regular = [0.0, 0.04, 0.08, 0.12, 0.16, 0.2, 0.24]
    assert [seconds for kind, seconds in ready if kind == "video"] == regular
    late = [] if sound_first else [0.2]  # of the first part, behind the first picture of the second
    assert [seconds for kind, seconds in ready if kind == "audio"] == sorted(regular + late)


def test_sound_before_the_first_picture_of_a_file_waits_for_it():
    timeline = Timeline(live=False)
    assert placed(timeline, *sounds(90), *pictures(100), *sounds(101)) == [
        ("video", 0.0),
        ("audio", -0.4),
        ("audio", 0.04),
    ]


def test_sound_of_a_file_without_pictures_does_not_fill_memory(monkeypatch):
    monkeypatch.setattr(timeline_module, "HELD_BYTES", 3 * (timeline_module.PACKET_BYTES + 1))
    timeline = Timeline(live=False)
    placed(timeline, *sounds(*range(100)))
    assert len(placed(timeline, *pictures(0))) == 1 + 3


def test_a_files_packets_without_timestamps_are_left_without():
    timeline, bare = Timeline(live=False), packet(0)
    bare.pts = bare.dts = None
    assert timeline.place(bare) == [bare]
    assert bare.pts is None
