"""Each harm does what it says, more of it at each strength, and the same on each run."""

from pathlib import Path

import numpy as np
import pytest

from rtpolyp.measure.dataset import Pair
from rtpolyp.phantom import render_phantom
from scripts.shipped.degradations import DEGRADATIONS, Degradation, brightness, hue, motion_blur, resolution

PAIR = Pair(Path("image"), Path("mask"), "name", "group", "")
RNG = np.random.default_rng


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return next(iter(render_phantom(0.1, (160, 128), 25))).bgr


@pytest.mark.parametrize("degradation", DEGRADATIONS, ids=lambda degradation: degradation.name)
def test_harm_grows_with_strength_and_repeats(degradation: Degradation, image: np.ndarray) -> None:
    harms = []
    for strength in degradation.strengths:
        degraded = degradation.at(strength)(PAIR, image)
        assert degraded.shape == image.shape
        assert degraded.dtype == np.uint8
        np.testing.assert_array_equal(degraded, degradation.at(strength)(PAIR, image))
        harms.append(np.abs(degraded.astype(int) - image).mean())
    assert 0 < harms[0] < harms[1] < harms[2]


def test_noise_differs_between_frames(image: np.ndarray) -> None:
    noise = next(degradation for degradation in DEGRADATIONS if degradation.name.startswith("noise"))
    other = noise.at(10)(PAIR._replace(name="other"), image)
    assert (noise.at(10)(PAIR, image) != other).any()


def test_the_strengths_that_are_asked_for_are_the_middle_ones() -> None:
    middle = {degradation.name: degradation.strengths[1] for degradation in DEGRADATIONS}
    assert middle["JPEG quality"] == 30
    assert (middle["darker"], middle["brighter"]) == (-30, 30)
    assert middle["resolution, of each side"] == 0.5


def test_motion_blur_is_a_line_of_its_length() -> None:
    point = np.zeros((100, 100, 3), np.uint8)
    point[50, 50] = 255
    ys, xs = np.nonzero(motion_blur(point, 20, RNG(0))[..., 0])
    extent = np.hypot(np.ptp(ys), np.ptp(xs))
    assert 18 <= extent <= 23
    assert len(ys) < 4 * extent  # thin


def test_brightness_is_a_factor() -> None:
    grey = np.full((4, 4, 3), 100, np.uint8)
    assert (brightness(grey, -30, RNG(0)) == 70).all()
    assert (brightness(2 * grey, 30, RNG(0)) == 255).all()


def test_hue_turns_red_towards_yellow_and_leaves_grey() -> None:
    colours = np.uint8([[[0, 0, 200], [90, 90, 90]]])
    np.testing.assert_array_equal(hue(colours, 60, RNG(0)), [[[0, 200, 200], [90, 90, 90]]])


def test_resolution_loses_fine_stripes() -> None:
    stripes = np.tile(np.uint8([0, 255]), (8, 8))[..., None].repeat(3, 2)
    assert np.ptp(resolution(stripes, 0.5, RNG(0))) <= 1
