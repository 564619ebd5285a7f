import numpy as np
import pytest
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect, make_view
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.spec import EngineSpec

ROUNDING = 1  # grey level


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def spec(width: int, height: int) -> EngineSpec:
    return EngineSpec("n", "n", "e", height, width, threshold=0.5, minimum_area=0, minimum_confidence=0)


def test_shrinking_averages_over_the_area() -> None:
    frame = noise(64, 96)
    blocks = frame.reshape(32, 2, 32, 3, 3).mean(axis=(1, 3))
    resized = resize_frame(frame, spec(32, 32))
    assert resized.shape == (32, 32, 3)
    assert np.abs(resized - blocks).max() <= ROUNDING


def test_an_axis_that_shrinks_is_averaged_even_when_the_other_grows() -> None:
    stripes = np.zeros((20, 128, 3), np.uint8)
    stripes[:, ::2] = 255  # sampling without averaging gives 0 or 255
    resized = resize_frame(stripes, (32, 64))
    assert np.abs(resized.astype(int) - 127.5).max() <= ROUNDING


def test_enlarging_interpolates_between_pixels() -> None:
    frame = np.repeat(np.array([[0, 200]], np.uint8)[..., np.newaxis], 3, axis=2)
    resized = resize_frame(frame, (8, 1))
    assert resized[0, :, 0].tolist() == [0, 0, 25, 75, 125, 175, 200, 200]


def test_the_view_is_cropped_before_it_is_stretched() -> None:
    frame = noise(60, 80)
    crop = Rect(16, 10, 40, 30)
    view = make_view((80, 60), (32, 32), crop)
    expected = resize_frame(frame[10:40, 16:56], (32, 32))
    assert np.array_equal(resize_frame(frame, spec(32, 32), view), expected)


def test_the_result_is_contiguous_without_any_resize() -> None:
    frame = noise(48, 64)
    view = make_view((64, 48), (32, 32), Rect(8, 8, 32, 32))
    resized = resize_frame(frame, (32, 32), view)
    assert resized.flags.c_contiguous
    assert np.array_equal(resized, frame[8:40, 8:40])


def test_the_view_maps_pixels_where_resizing_put_them() -> None:
    frame = np.zeros((200, 300, 3), np.uint8)
    frame[80:100, 150:190] = 255
    view = make_view((300, 200), (64, 96), Rect(30, 20, 240, 160))
    small = resize_frame(frame, (64, 96), view)[..., 0] / 255
    mass = small / small.sum()
    rows, columns = np.mgrid[:96, :64] + 0.5
    centre = np.array([[(mass * columns).sum(), (mass * rows).sum()]], np.float32)
    assert view.to_frame(centre)[0] == pytest.approx((170, 90), abs=0.1)


def test_resizing_with_another_frames_view_fails() -> None:
    view = make_view((64, 48), (32, 32))
    with pytest.raises(InputError, match="frame of 80x60 pixels, but the view is of 64x48"):
        resize_frame(noise(60, 80), (32, 32), view)


def test_resizing_with_another_networks_view_fails() -> None:
    view = make_view((80, 60), (32, 32))
    with pytest.raises(InputError, match="network input of 64x64 pixels, but the view is for 32x32"):
        resize_frame(noise(60, 80), (64, 64), view)
