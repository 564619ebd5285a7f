"""Frame.with_bgr, the way back from a drawing of one's own."""

import numpy as np
import pytest

from rtpolyp.errors import InputError
from tests.runtime.clips import frame_of, picture

CLOSE = 1.5  # levels of 255 on average: chroma has half the resolution


@pytest.mark.parametrize(("encoded_as", "matrix"), [("ITU601", 2), ("ITU601", 6), ("ITU709", 1)])
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("size", [(160, 128), (161, 127)])
def test_a_picture_comes_back_in_the_frames_own_colours(encoded_as, matrix, full, size):
    frame = frame_of(picture(3, size), encoded_as=encoded_as, matrix=matrix, full=full)
    other = picture(9, size)
    drawn = frame.with_bgr(other)
    assert np.abs(drawn.to_bgr().astype(int) - other).mean() < CLOSE
    assert (drawn.pts, drawn.time_base, drawn.index) == (frame.pts, frame.time_base, frame.index)
    assert (drawn.native.pts, drawn.native.duration) == (frame.native.pts, frame.native.duration)
    assert drawn.colour == frame.colour
    assert drawn.native.format.name == frame.native.format.name


def test_going_there_and_back_changes_little():
    frame = frame_of(picture(3))
    again = frame.with_bgr(frame.to_bgr())
    assert np.abs(again.luma().astype(int) - frame.luma()).mean() < CLOSE


@pytest.mark.parametrize("wrong", [picture(0, (80, 64)), picture(0) / 255, picture(0)[..., 0]])
def test_what_does_not_fit_the_frame_is_refused(wrong):
    with pytest.raises(InputError, match=r"give \(128, 160, 3\) uint8, as the frame has"):
        frame_of(picture(0)).with_bgr(wrong)
