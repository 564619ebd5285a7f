import math
import sys
import threading
from typing import get_args

import numpy as np
import pytest

from rtpolyp.live.telemetry import COUNTERS, TIMES, Counter, Telemetry, Time, TimeSummary


def test_every_counter_and_time_has_its_help() -> None:
    assert set(get_args(Counter)) == set(COUNTERS)
    assert set(get_args(Time)) == set(TIMES)


def test_counts_from_many_threads_lose_nothing() -> None:
    telemetry = Telemetry()

    def work() -> None:
        for _ in range(2000):
            telemetry.count("frames_displayed")
            telemetry.time("display_gap", 0.033)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert telemetry.counts()["frames_displayed"] == 8000
    assert telemetry.times()["display_gap"].count == 8000
    assert telemetry.times()["display_gap"].total == pytest.approx(8000 * 0.033)


def test_an_unknown_counter_or_state_fails() -> None:
    telemetry = Telemetry()
    with pytest.raises(KeyError, match="frames_shwon"):
        telemetry.count("frames_shwon")
    with pytest.raises(ValueError, match="'asleep' is none of"):
        telemetry.ai_state = "asleep"
    assert telemetry.ai_state == "starting"


@pytest.mark.parametrize("rank", [1, 50, 90, 99, 99.9, 100])
def test_percentiles_are_rounded_up_to_half_a_millisecond(rank: float) -> None:
    rng = np.random.default_rng(0)
    durations = rng.lognormal(-3.4, 0.3, 5000)
    summary = TimeSummary()
    for seconds in durations:
        summary.add(float(seconds))
    exact = np.percentile(durations, rank, method="inverted_cdf")
    assert exact <= summary.percentile(rank) <= exact + 0.0005
    assert summary.maximum == durations.max()


def test_durations_beyond_the_bins_keep_the_maximum_honest() -> None:
    summary = TimeSummary()
    for seconds in (0.01, 5.0, 7.5):
        summary.add(seconds)
    assert summary.percentile(99) == 7.5
    assert summary.cumulative((0.5, 1.0)) == [(0.5, 1), (1.0, 1)]


def test_no_durations_have_no_percentile() -> None:
    assert math.isnan(TimeSummary().percentile(50))


def test_copies_do_not_change_any_more() -> None:
    telemetry = Telemetry()
    counts, times = telemetry.counts(), telemetry.times()
    telemetry.count("inferences")
    telemetry.time("inference", 0.02)
    assert counts["inferences"] == 0
    assert times["inference"].count == sum(times["inference"].bins) == 0


def test_the_summary_says_what_happened() -> None:
    telemetry = Telemetry()
    telemetry.count("frames_displayed", 300)
    telemetry.count("frames_covered", 270)
    telemetry.count("frames_dropped", 3)
    telemetry.count("activations", 2)
    telemetry.count("recordings_failed")
    for milliseconds in (33, 34, 80):
        telemetry.time("display_gap", milliseconds / 1000)
    text = "\n".join(telemetry.summary_lines(10.0))
    assert "300 frames shown in 10.0 s (30.0 frames/s), 3 dropped; 90.0 % with an unexpired result" in text
    assert "2 activations (12.00/min)" in text
    assert "display gap: p50 34.5, p99 80.0, p99.9 80.0, longest 80.0 ms" in text
    assert "recordings: 1 ended early" in text
    assert "overlay age" not in text  # nothing was measured


def test_a_session_without_a_frame_has_a_summary() -> None:
    assert Telemetry().summary_lines(0.0)[0].startswith("0 frames shown in 0.0 s (0.0 frames/s)")
