"""Frame: planes, colours, copies."""

from fractions import Fraction

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from rtpolyp.video.colour import Colour
from rtpolyp.video.frame import Frame
from rtpolyp.video.planes import plane_view
from tests.runtime.clips import frame_of, picture

ROUNDING = 3.0  # levels: 8-bit YUV resolves a colour to about that
COLOUR = (40, 70, 190)  # blue, green, red
LUMA = {  # H.273's MatrixCoefficients → the weights of red and blue in luma
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}


def solid(size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.full((size[1], size[0], 3), COLOUR, np.uint8)


def solid_frame(
    size: tuple[int, int], follows: int, *, full: bool = False, tag: int, colour_range: int
) -> Frame:
    """A frame of COLOUR whose samples follow a matrix by its definition, and tagged as told."""
    red_weight, blue_weight = LUMA[follows]
    blue, green, red = np.float64(COLOUR) / 255
    luma = red_weight * red + blue_weight * blue + (1 - red_weight - blue_weight) * green
    chroma = (blue - luma) / (2 - 2 * blue_weight), (red - luma) / (2 - 2 * red_weight)
    scale, offset, chroma_scale = (255, 0, 255) if full else (219, 16, 224)
    native = av.VideoFrame(*size, "yuv420p")
    for index, value in enumerate((offset + scale * luma, *(128 + chroma_scale * c for c in chroma))):
        plane_view(native, index)[:] = round(value)
    native.colorspace, native.color_range = tag, colour_range
    return Frame(native, 0, 0, Fraction(1), 0.0, "")


def error(frame: Frame) -> float:
    return float(np.abs(frame.to_bgr() - np.float64(COLOUR)).max())


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", LUMA)
def test_colours_follow_the_tags(matrix, full):
    frame = solid_frame((64, 48), matrix, full=full, tag=matrix, colour_range=2 if full else 1)
    assert frame.full_range is full
    assert error(frame) <= ROUNDING


@pytest.mark.parametrize(
    ("size", "assumed"), [((640, 480), 6), ((1280, 720), 1), ((480, 640), 6), ((720, 1280), 1)]
)
def test_untagged_colours_follow_the_size_as_players_do(size, assumed):
    assert error(solid_frame(size, assumed, tag=2, colour_range=0)) <= ROUNDING


@pytest.mark.parametrize(("tag", "colour_range"), [(1, 1), (6, 2)])
def test_a_wrong_matrix_or_range_would_show(tag, colour_range):
    assert error(solid_frame((64, 48), 6, tag=tag, colour_range=colour_range)) > ROUNDING


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
