import dataclasses

import numpy as np
import pytest

from rtpolyp.imaging.geometry import make_view
from rtpolyp.imaging.postprocess import find_polyps
from rtpolyp.settings import Settings
from train.export.operating_point import (
    KEPT_SENSITIVITY,
    PLAIN,
    OperatingPoint,
    choose_operating_point,
    outcome_at,
)

SIDE = 64


def square(*boxes: tuple[int, int, int, float]) -> np.ndarray:
    """A probability map `(SIDE, SIDE) uint8` with squares (x, y, side, probability)."""
    found = np.zeros((SIDE, SIDE), np.uint8)
    for x, y, side, probability in boxes:
        found[y : y + side, x : x + side] = round(255 * probability)
    return found


polyps = np.stack([square((10 + i, 12, 20, 0.97)) for i in range(20)])
truth = polyps > 0
false_alarms = np.stack([square((5 * i, 40, 12, 0.7)) for i in range(8)] + [square()] * 2)


def test_outcome_at_half():
    outcome = outcome_at(PLAIN, polyps, truth, false_alarms)
    assert (outcome.sensitivity, outcome.dice, outcome.false_outlines) == (1.0, 1.0, 0.8)


def test_each_filter_drops_what_it_should():
    found = np.stack([square((4, 4, 10, 0.9), (40, 40, 4, 0.9)), square((4, 4, 10, 0.6))])
    expected = np.stack([square((4, 4, 10, 1.0)), square((4, 4, 10, 1.0))]) > 0
    at_half = outcome_at(PLAIN, found, expected, false_alarms)
    assert at_half.dice == pytest.approx((2 * 100 / 216 + 1) / 2)
    large = outcome_at(OperatingPoint(0.5, minimum_area=50 / SIDE**2), found, expected, false_alarms)
    assert (large.dice, large.sensitivity) == (1.0, 1.0)
    sure = outcome_at(OperatingPoint(0.5, minimum_confidence=0.8), found, expected, false_alarms)
    assert (sure.sensitivity, sure.false_outlines) == (0.5, 0.0)
    high = outcome_at(OperatingPoint(0.65), found, expected, false_alarms)
    assert (high.sensitivity, high.false_outlines) == (0.5, 0.8)


def test_matches_the_outlines_that_the_runtime_draws():
    rng = np.random.default_rng(3)
    view = make_view((SIDE, SIDE), (SIDE, SIDE))
    for _ in range(20):
        boxes = [(*rng.integers(0, 50, 2), rng.integers(3, 14), rng.uniform(0.3, 1)) for _ in range(5)]
        found = square(*boxes)
        point = OperatingPoint(0.5, 0.01, 0.75)
        outlines = find_polyps(found, view, Settings(**dataclasses.asdict(point)))
        assert outcome_at(point, polyps[:1], truth[:1], found[None]).false_outlines == bool(outlines)


def test_chooses_the_point_without_false_outlines():
    point = choose_operating_point(polyps, truth, false_alarms)
    outcome = outcome_at(point, polyps, truth, false_alarms)
    assert (outcome.false_outlines, outcome.sensitivity, outcome.dice) == (0.0, 1.0, 1.0)


def test_tells_polyps_that_are_a_little_above_half_from_what_lies_at_half():
    """A second look lowers what it doubts towards 0.5, and where polyps are few it doubts some of them."""
    doubted = np.stack([square((10 + i, 12, 20, 131 / 255)) for i in range(20)])
    lowered = np.stack([square((5 * i, 10, 24, 128 / 255)) for i in range(8)])
    point = choose_operating_point(doubted, truth, lowered)
    outcome = outcome_at(point, doubted, truth, lowered)
    assert (outcome.sensitivity, outcome.false_outlines) == (1.0, 0.0)


def test_never_gives_up_more_polyps_than_it_may():
    """Three of twenty polyps look like the false alarms: silencing those would cost 15 % of the polyps."""
    timid = polyps.copy()
    timid[:3] = np.where(truth[:3], 178, 0)
    timid[:, 40:46, 50:56] = 178  # and a false outline in each frame, which any filter of area removes
    at_half = outcome_at(PLAIN, timid, truth, false_alarms)
    point = choose_operating_point(timid, truth, false_alarms)
    outcome = outcome_at(point, timid, truth, false_alarms)
    assert outcome.sensitivity >= KEPT_SENSITIVITY * at_half.sensitivity
    assert outcome.false_outlines == at_half.false_outlines


@pytest.mark.parametrize(("frames", "kept"), [(20, 19 / 20), (10, 1.0)])
def test_one_polyp_of_twenty_may_go_and_none_of_ten(frames, kept):
    some, timid = truth[:frames], polyps[:frames].copy()
    timid[:1] = np.where(some[:1], 178, 0)
    outcome = outcome_at(choose_operating_point(timid, some, false_alarms), timid, some, false_alarms)
    assert outcome.sensitivity == pytest.approx(kept)
    assert (outcome.false_outlines == 0) == (kept < 1)


def test_without_anything_to_gain_it_stays_at_half():
    assert choose_operating_point(polyps, truth, np.zeros((3, SIDE, SIDE), np.uint8)) == PLAIN


def test_specks_in_the_truth_are_no_polyps():
    large = np.zeros((1, 256, 256), bool)
    large[0, 20:60, 20:60] = True
    speckled = large.copy()
    speckled[0, 200, 200] = True
    found = np.where(large, 255, 0).astype(np.uint8)
    assert outcome_at(PLAIN, found, speckled, found).sensitivity == 1.0
