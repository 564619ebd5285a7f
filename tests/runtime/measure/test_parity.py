"""How far two engines' masks lie apart, and when that is too far."""

import math

import numpy as np
import pytest

from rtpolyp.errors import EngineError
from rtpolyp.inference.bundle import Bundle
from rtpolyp.measure.parity import Parity, check_parity, compare_masks, probabilities
from tests.runtime.stub_engine import StubEngine, redness
from tests.runtime.tiny_bundle import red_square


def maps(*values: int) -> np.ndarray:
    """One frame of one row."""
    return np.uint8(values)[np.newaxis, np.newaxis]


@pytest.mark.parametrize(
    ("expected", "found", "levels", "dice"),
    [
        (maps(0, 200, 255), maps(0, 200, 255), 0, 1.0),
        (maps(0, 200, 255), maps(255, 200, 255), 255, 0.8),  # 2 · 2 / (2 + 3)
        (maps(127, 200), maps(128, 200), 1, 2 / 3),
        (maps(200, 0), maps(0, 200), 200, 0.0),
    ],
)
def test_levels_and_dice_of_known_masks(expected, found, levels, dice):
    parity = compare_masks(expected, found)
    assert parity == Parity(1, levels, pytest.approx(dice))
    assert compare_masks(found, expected) == parity


def test_frames_count_by_their_pixels():
    """A mask of a few pixels does not weigh as much as a large one."""
    expected, found = np.zeros((2, 10, 10), np.uint8), np.zeros((2, 10, 10), np.uint8)
    expected[0, :5], found[0, :5] = 255, 255
    expected[1, 0, 0] = 255
    assert compare_masks(expected, found).dice == pytest.approx(2 * 50 / 101)


def test_probabilities_are_on_the_networks_grid(bundle: Bundle):
    images = [red_square(), red_square((192, 128), side=50)]
    with StubEngine(bundle.spec) as engine:
        found = probabilities(engine, images)
    assert (found.shape, found.dtype) == ((2, 64, 96), np.uint8)
    np.testing.assert_array_equal(found[0], redness(images[0][np.newaxis])[0])


def test_enough_agreement_passes():
    check_parity("x", Parity(10, 3, 0.998), 0.998)


def test_too_little_agreement_fails_with_the_figures():
    with pytest.raises(
        EngineError, match=r"x: masks agree with Dice 0\.9950 on 10 frames, below 0\.998, and .* 42/"
    ):
        check_parity("x", Parity(10, 42, 0.995), 0.998)


def test_nothing_to_compare_fails():
    parity = compare_masks(maps(0, 3), maps(1, 0))
    assert math.isnan(parity.dice)
    with pytest.raises(EngineError, match=r"x: no polyp is outlined in any of 1 frame.* give other frames"):
        check_parity("x", parity, 0.998)
