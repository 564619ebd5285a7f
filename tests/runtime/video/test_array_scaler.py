"""ArrayScaler against the definition of the network's input."""

import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect, make_view
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.video.array_scaler import ArrayScaler
from tests.runtime.clips import picture

CLOSE = 0.3  # levels of 255 on average; the largest difference is 1


@pytest.mark.parametrize("size", [(384, 288), (623, 529), (1280, 1024), (100, 80)])
@pytest.mark.parametrize("crop", [None, Rect(16, 10, 71, 60)])
def test_it_gives_what_the_definition_gives(size, crop):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    view = make_view(size, (96, 64), crop)
    scale = ArrayScaler(view)
    for bgr in (picture(7, size), noise):
        scaled = scale(bgr)
        assert scaled.shape == (64, 96, 3)
        assert scaled.flags.c_contiguous
        difference = np.abs(scaled.astype(int) - resize_frame(bgr, (96, 64), view))
        assert difference.max() <= 1
        assert difference.mean() < CLOSE


def test_any_memory_layout_gives_the_same(tmp_path):
    bgr = picture(3, (320, 240))
    scale = ArrayScaler(make_view((320, 240), (96, 64)))
    expected = scale(bgr)
    flipped_twice = bgr[:, ::-1].copy()[:, ::-1]
    padded = np.zeros((240, 400, 3), np.uint8)
    padded[:, :320] = bgr
    for same in (flipped_twice, padded[:, :320], np.asfortranarray(bgr)):
        assert np.array_equal(scale(same), expected)


def test_a_result_is_its_own_and_the_array_is_not_written_to():
    bgr = picture(3, (320, 240))
    before = bgr.copy()
    scale = ArrayScaler(make_view((320, 240), (96, 64)))
    first = scale(bgr)
    kept = first.copy()
    scale(picture(9, (320, 240)))
    assert np.array_equal(first, kept)
    assert np.array_equal(bgr, before)


def test_an_array_of_another_size_is_refused():
    scale = ArrayScaler(make_view((320, 240), (96, 96)))
    with pytest.raises(InputError, match="160x128 pixels, but the view is of 320x240"):
        scale(picture(0))
