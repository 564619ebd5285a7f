"""Frames as a stream gives them."""

import cv2
import numpy as np

from train.export.degrade import NOISE, as_recorded


def test_edges_soften_and_flat_parts_get_noise():
    image = np.full((64, 64, 3), 60, np.uint8)
    image[:, 32:] = 180
    found = as_recorded(image, np.random.default_rng(0))
    assert (found.shape, found.dtype) == (image.shape, np.uint8)
    grey = cv2.cvtColor(found, cv2.COLOR_BGR2GRAY).astype(float)
    across = grey.mean(0)
    assert 70 < across[31] < across[32] < 170  # the step is no longer one
    assert abs(across[:28].mean() - 60) < 2
    assert abs(across[36:].mean() - 180) < 2
    assert 0.1 * NOISE < grey[:, :24].std() < 2 * NOISE


def test_a_seed_gives_the_same_frame():
    image = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    first, again, other = (as_recorded(image, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
