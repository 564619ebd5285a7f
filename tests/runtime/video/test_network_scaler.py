"""NetworkScaler against the definition of the network's input."""

import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect, make_view
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.video.network_scaler import NetworkScaler
from tests.runtime.clips import frame_of, picture

# Levels of 255, mean over a picture of hard edges; rendered textures come to 0.1 to 0.3. Two chains of 8-bit
# roundings differ by half a level; a wrong matrix, range or half a pixel of shift by more than two.
CLOSE = 1.0
CLOSE_TO_ORIGINAL = 2.0  # against the picture before it lost chroma resolution to 4:2:0


@pytest.mark.parametrize("network", [(96, 64), (352, 352), (352, 64), (320, 240)], ids=str)
@pytest.mark.parametrize("crop", [None, Rect(32, 16, 224, 200)], ids=["whole", "crop"])
def test_it_gives_what_preprocessing_gives(network, crop):
    bgr = picture(5, (320, 240))
    frame, view = frame_of(bgr), make_view((320, 240), network, crop)
    scaled = NetworkScaler(view)(frame)
    assert scaled.shape == (network[1], network[0], 3)
    assert scaled.dtype == np.uint8
    assert scaled.flags.c_contiguous
    assert np.abs(scaled.astype(int) - resize_frame(frame.to_bgr(), network, view)).mean() < CLOSE
    assert np.abs(scaled.astype(int) - resize_frame(bgr, network, view)).mean() < CLOSE_TO_ORIGINAL


def test_the_bound_tells_half_a_pixel():
    bgr = picture(5, (320, 240))
    view = make_view((320, 240), (320, 240))
    shifted = np.float32(bgr[:, :-1]) / 2 + np.float32(bgr[:, 1:]) / 2
    assert np.abs(shifted - NetworkScaler(view)(frame_of(bgr))[:, :-1]).mean() > CLOSE


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("matrix", "standard"), [(1, "ITU709"), (6, "ITU601"), (2, "ITU601")])
def test_it_honours_matrix_and_range(matrix, standard, full):
    bgr = picture(5, (320, 240))
    frame = frame_of(bgr, encoded_as=standard, matrix=matrix, full=full)
    view = make_view((320, 240), (96, 96))
    assert (
        np.abs(NetworkScaler(view)(frame).astype(int) - resize_frame(bgr, (96, 96))).mean()
        < CLOSE_TO_ORIGINAL
    )


def test_one_scaler_follows_frames_whose_tags_change():
    bgr = picture(5, (320, 240))
    scaler = NetworkScaler(make_view((320, 240), (96, 96)))
    limited, full = scaler(frame_of(bgr, full=False)), scaler(frame_of(bgr, full=True))
    assert np.abs(limited.astype(int) - full).mean() < CLOSE


def test_each_call_returns_its_own_array():
    scaler = NetworkScaler(make_view((160, 128), (64, 64)))
    first = scaler(frame_of(picture(0)))
    kept = first.copy()
    scaler(frame_of(255 - picture(9)))
    np.testing.assert_array_equal(first, kept)


def test_a_frame_of_another_size_fails():
    scaler = NetworkScaler(make_view((320, 240), (96, 96)))
    with pytest.raises(InputError, match=r"frame 000007 has 160x128 pixels.*320x240"):
        scaler(frame_of(picture(0)))
