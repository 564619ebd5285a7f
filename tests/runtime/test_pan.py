import itertools

import cv2
import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.phantom.pan import pan


def still(size: tuple[int, int] = (200, 160)) -> np.ndarray:
    noise = np.random.default_rng(2).random((size[1], size[0], 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def test_the_first_window_is_the_stills_middle() -> None:
    picture = still()
    first = next(pan(picture, 1))
    assert first.shape == (112, 140, 3)
    assert np.array_equal(first, picture[24:136, 30:170])


def test_it_moves_by_fractions_of_a_pixel() -> None:
    picture = still()
    frames = list(pan(picture, 4, fps=25))
    assert len(frames) == 100
    grey = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY).astype(np.float32) for frame in frames]
    steps = [np.hypot(*cv2.phaseCorrelate(a, b)[0]) for a, b in itertools.pairwise(grey)]
    assert 0 < max(steps) < 1
    patch = frames[81][40:80, 40:100]  # a quarter of 13 s: at the right edge
    _, _, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(picture, patch, cv2.TM_CCOEFF_NORMED))
    assert (x - 40, y - 40) == pytest.approx((60, 24 * (1 + np.sin(2 * np.pi * 3.24 / 17))), abs=0.6)


def test_it_never_leaves_the_still() -> None:
    picture = still() // 2
    picture[[0, -1]] = picture[:, [0, -1]] = 255  # would show if a window reached beyond
    for frame in pan(picture, 30, fps=2):
        assert frame[2:-2, 2:-2].max() < 200


def test_a_tiny_still_fails() -> None:
    with pytest.raises(InputError, match="still of 200x40 pixels"):
        pan(still((200, 40)), 1)
