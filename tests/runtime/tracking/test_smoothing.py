import math

import numpy as np
import pytest
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.tracking.smoothing import TemporalSmoother

HALF = 128  # the first grey level at or above probability 0.5
RATES = [23.976, 25, 29.97, 30, 50, 59.94, 60, 100, 120]  # frames/s
DELAY_LIMIT_MS = 40.0


def flat(level: int) -> NDArray[np.uint8]:
    return np.full((4, 6), level, np.uint8)


def added_delay_ms(smoother: TemporalSmoother, rate: float, start: int, end: int) -> float:
    """Milliseconds between a step and the smoothed map's crossing of one half."""
    for k in range(20):
        smoother(flat(start), k / rate)
    late = 0
    while (smoother(flat(end), (20 + late) / rate)[0, 0] >= HALF) != (end >= HALF):
        late += 1
    return 1000 * late / rate


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("start", "end"), [(0, 255), (255, 0)])
def test_a_step_shows_within_40_ms(rate: float, start: int, end: int) -> None:
    assert added_delay_ms(TemporalSmoother(), rate, start, end) <= DELAY_LIMIT_MS + 0.1


@pytest.mark.parametrize("time_constant_ms", [0, 30, 60, 200])
def test_the_stated_delay_bounds_the_step_response(time_constant_ms: float) -> None:
    smoother = TemporalSmoother(time_constant_ms)
    delay = added_delay_ms(smoother, 1000, 0, 255)
    assert delay == pytest.approx(smoother.delay_ms, abs=1.0)
    assert smoother.delay_ms == pytest.approx(time_constant_ms * math.log(2))


def test_a_polyp_that_moves_by_its_own_width_is_where_it_is() -> None:
    smoother = TemporalSmoother()
    for k in range(6):
        current = np.zeros((20, 120), np.uint8)
        current[:, 20 * k : 20 * k + 20] = 240
        found = smoother(current, k / 25)
        assert np.array_equal(found >= 0.85 * 240, current > 0)


def test_flicker_between_two_frames_is_damped() -> None:
    smoother = TemporalSmoother()
    levels = [smoother(flat(level), k / 60)[0, 0] for k, level in enumerate([100, 200] * 20)]
    assert int(max(levels[20:])) - int(min(levels[20:])) < 50


def test_irregular_timestamps_give_what_regular_ones_give_at_the_same_time() -> None:
    regular, irregular = TemporalSmoother(), TemporalSmoother()
    for smoother in (regular, irregular):
        smoother(flat(0), 0.0)
    for pts in (0.01, 0.02, 0.03, 0.04, 0.05, 0.06):
        expected = regular(flat(255), pts)
    for pts in (0.005, 0.041, 0.06):
        found = irregular(flat(255), pts)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("level", [0, 1, 127, 128, 200, 254, 255])
def test_a_constant_stays_exactly_constant(level: int) -> None:
    smoother = TemporalSmoother()
    for k in range(2000):
        assert (smoother(flat(level), k / 30) == level).all()


@pytest.mark.parametrize(("start", "end"), [(0, 255), (255, 0), (100, 101), (101, 100)])
def test_the_average_arrives_exactly(start: int, end: int) -> None:
    smoother = TemporalSmoother()
    smoother(flat(start), 0.0)
    for k in range(1, 40):
        found = smoother(flat(end), k / 30)
    assert (found == end).all()


def test_noise_keeps_its_mean() -> None:
    rng = np.random.default_rng(0)
    smoother = TemporalSmoother()
    means = [smoother(rng.integers(40, 61, (64, 64), dtype=np.uint8), k / 30).mean() for k in range(200)]
    assert np.mean(means[20:]) == pytest.approx(50, abs=0.05)


def test_after_a_gap_the_past_is_forgotten() -> None:
    smoother = TemporalSmoother()
    smoother(flat(255), 0.0)
    assert (smoother(flat(0), 0.4) == 0).all()


@pytest.mark.parametrize("pts", [0.5, 1.0, -3.0])
def test_a_timestamp_that_does_not_advance_starts_anew(pts: float) -> None:
    smoother = TemporalSmoother()
    smoother(flat(255), 1.0)
    assert (smoother(flat(10), pts) == 10).all()
    assert (smoother(flat(200), pts + 0.04) < 200).all()


def test_reset_starts_anew() -> None:
    smoother = TemporalSmoother()
    smoother(flat(255), 0.0)
    smoother.reset()
    assert (smoother(flat(0), 0.033) == 0).all()


def test_a_map_of_another_size_starts_anew() -> None:
    smoother = TemporalSmoother()
    smoother(flat(255), 0.0)
    assert (smoother(np.zeros((8, 8), np.uint8), 0.033) == 0).all()


def test_results_are_arrays_of_their_own() -> None:
    smoother = TemporalSmoother()
    given = flat(0)
    first = smoother(given, 0.0)
    second = smoother(flat(255), 0.033)
    given[:] = 77
    assert (first == 0).all()
    assert not np.shares_memory(first, second)


@pytest.mark.parametrize("time_constant_ms", [-1, math.inf, math.nan])
def test_a_senseless_time_constant_fails(time_constant_ms: float) -> None:
    with pytest.raises(InputError, match="give 0 or more milliseconds"):
        TemporalSmoother(time_constant_ms)
