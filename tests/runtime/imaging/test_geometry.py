import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect, make_view


def test_without_a_crop_the_whole_frame_is_seen() -> None:
    view = make_view((1281, 719), (352, 352))
    assert view.crop == Rect(0, 0, 1281, 719)
    assert view.scale == (1281 / 352, 719 / 352)


@pytest.mark.parametrize(
    ("crop", "even"),
    [
        (Rect(10, 20, 300, 200), Rect(10, 20, 300, 200)),
        (Rect(11, 21, 300, 200), Rect(10, 20, 300, 200)),
        (Rect(11, 21, 299, 199), Rect(10, 20, 300, 200)),
    ],
)
def test_crops_are_made_even_for_chroma(crop: Rect, even: Rect) -> None:
    assert make_view((640, 480), (352, 352), crop).crop == even


def test_the_map_meets_the_crops_corners_and_is_linear_between() -> None:
    view = make_view((1280, 1024), (352, 256), Rect(100, 60, 1000, 900))
    corners = np.array([(0, 0), (352, 256)], np.float32)
    assert view.to_frame(corners).tolist() == [[100, 60], [1100, 960]]
    middle = view.to_frame(np.array([(176, 64)], np.float32))
    assert middle.tolist() == [[600, 285]]
    assert middle.dtype == np.float32


@pytest.mark.parametrize("crop", [Rect(-2, 0, 100, 100), Rect(0, 0, 642, 100), Rect(600, 0, 100, 100)])
def test_a_crop_outside_the_frame_fails(crop: Rect) -> None:
    with pytest.raises(InputError, match=r"leaves the 640x480 frame: give x,y,w,h inside it"):
        make_view((640, 480), (352, 352), crop)


def test_a_tiny_crop_fails() -> None:
    with pytest.raises(InputError, match="crop 15x40 is under 16 pixels"):
        make_view((640, 480), (352, 352), Rect(0, 0, 15, 40))
