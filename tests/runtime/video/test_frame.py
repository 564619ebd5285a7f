"""Frame: planes, colours, copies."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from rtpolyp.video.colour import Colour
from tests.runtime.clips import frame_of, picture

ROUNDING = 3.0  # levels: 8-bit YUV resolves a colour to about that
MATRICES = {1: "ITU709", 5: "ITU601", 6: "ITU601", 7: "SMPTE240M", 9: "BT2020"}


def solid(size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.full((size[1], size[0], 3), (40, 70, 190), np.uint8)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", MATRICES)
def test_colours_follow_the_tags(matrix, full):
    frame = frame_of(solid((64, 48)), encoded_as=MATRICES[matrix], matrix=matrix, full=full)
    assert frame.full_range is full
    assert np.abs(frame.to_bgr() - np.float64((40, 70, 190))).max() <= ROUNDING


@pytest.mark.parametrize(
    ("size", "standard"), [((640, 480), "ITU601"), ((1280, 720), "ITU709"), ((480, 640), "ITU601")]
)
def test_untagged_colours_follow_the_size_as_players_do(size, standard):
    frame = frame_of(solid(size), encoded_as=standard, tagged=False)
    assert np.abs(frame.to_bgr() - np.float64((40, 70, 190))).max() <= ROUNDING


@pytest.mark.parametrize(("matrix", "colour_range"), [(1, 1), (6, 2)])
def test_a_wrong_matrix_or_range_would_show(matrix, colour_range):
    frame = frame_of(solid((64, 48)), matrix=6)
    frame.native.colorspace, frame.native.color_range = matrix, colour_range
    assert np.abs(frame.to_bgr() - np.float64((40, 70, 190))).max() > ROUNDING


@pytest.mark.parametrize("size", [(160, 128), (161, 127), (34, 18)])
def test_to_bgr_gives_the_picture_at_any_size(size):
    bgr = picture(3, size) if min(size) > 100 else solid(size)
    converted = frame_of(bgr).to_bgr()
    assert converted.shape == bgr.shape
    assert converted.flags.c_contiguous
    assert np.abs(converted.astype(int) - bgr).mean() < ROUNDING


def test_luma_is_a_view_without_padding_and_cannot_be_written():
    frame = frame_of(picture(0, (162, 128)))
    luma = frame.luma()
    assert luma.shape == (128, 162)
    assert frame.native.planes[0].line_size > 162  # or this test would test nothing
    with pytest.raises(ValueError, match="read-only"):
        luma[0, 0] = 1


@pytest.mark.parametrize("size", [(160, 128), (161, 127)])
def test_writable_copies_once_and_leaves_the_original(size):
    frame = frame_of(picture(0, size), matrix=1, full=True)
    before = frame.to_bgr()
    copy, planes = frame.writable()
    assert [plane.shape for plane in planes] == [
        (size[1], size[0]),
        ((size[1] + 1) // 2, (size[0] + 1) // 2),
        ((size[1] + 1) // 2, (size[0] + 1) // 2),
    ]
    np.testing.assert_array_equal(copy.to_bgr(), before)
    for plane in planes:
        plane[-8:, -8:] = 200
    np.testing.assert_array_equal(frame.to_bgr(), before)
    changed = np.abs(copy.to_bgr().astype(int) - before).sum(axis=-1) > 0
    assert changed[-6:, -6:].all()
    assert not changed[:-20].any()


def test_writable_keeps_time_and_tags():
    frame = frame_of(picture(0), matrix=1, full=True)
    copy, _ = frame.writable()
    assert (copy.index, copy.pts, copy.name) == (frame.index, frame.pts, frame.name)
    assert copy.colour == frame.colour == Colour(1, 2, *(frame.colour.primaries, frame.colour.transfer))
    assert (copy.native.pts, copy.native.time_base, copy.native.duration) == (7, Fraction(1, 25), 1)


def test_planes_outlive_the_frame():
    def planes():
        return frame_of(picture(0)).writable()[1]

    y, _, _ = planes()
    assert y.mean() > 0
