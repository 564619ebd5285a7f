import itertools
from fractions import Fraction

import cv2
import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.picture import find_picture
from rtpolyp.phantom import PhantomFrame, PolypLook, render_phantom

SIZE = (320, 256)
LAP_SECONDS = 22.0


@pytest.fixture(scope="module")
def lap() -> list[PhantomFrame]:
    return list(render_phantom(LAP_SECONDS, SIZE, fps=3))


def head(count: int, seed: int = 0, look: PolypLook | None = None) -> list[PhantomFrame]:
    """The first frames, a second apart; at seed 0 a polyp shows from the third on."""
    return list(itertools.islice(render_phantom(100, SIZE, fps=1, seed=seed, look=look), count))


@pytest.fixture(scope="module")
def plain() -> list[PhantomFrame]:
    return head(6)


def test_frames_and_masks_have_the_size_asked_for() -> None:
    frame = next(render_phantom(1, (321, 255)))
    assert frame.bgr.shape == (255, 321, 3)
    assert frame.bgr.dtype == np.uint8
    assert frame.bgr.flags.c_contiguous
    assert frame.mask.shape == (255, 321)
    assert frame.mask.dtype == np.bool_


def test_timestamps_follow_the_rate_exactly() -> None:
    frames = list(render_phantom(0.2, (64, 64), Fraction(30000, 1001)))
    assert [frame.index for frame in frames] == list(range(6))
    assert [frame.pts_seconds for frame in frames] == pytest.approx([k * 1001 / 30000 for k in range(6)])


def test_a_seed_gives_one_clip(plain: list[PhantomFrame]) -> None:
    for a, b in zip(plain, head(4), strict=False):
        assert np.array_equal(a.bgr, b.bgr)
        assert np.array_equal(a.mask, b.mask)
    assert np.abs(head(1, seed=1)[0].bgr.astype(int) - plain[0].bgr).mean() > 5


def test_a_lap_has_two_polyps_and_two_stretches_without(lap: list[PhantomFrame]) -> None:
    shown = [bool(frame.mask.any()) for frame in lap]
    runs = [(value, len(list(group))) for value, group in itertools.groupby(shown)]
    assert [value for value, _ in runs[:4]] == [False, True, False, True]
    assert all(length >= 3 for _, length in runs[:4])  # a second or more


def test_polyps_grow_as_the_camera_comes_near_and_then_leave(lap: list[PhantomFrame]) -> None:
    areas = [float(frame.mask.mean()) for frame in lap]
    first = areas.index(next(area for area in areas if area))
    last = first + areas[first:].index(0.0)
    peak = first + int(np.argmax(areas[first:last]))
    assert areas[peak] > 0.04
    assert areas[peak] > 5 * areas[first]
    assert last - peak <= 5
    rising = np.diff(areas[first:peak])
    assert (rising > -0.001).all()


def test_masks_are_single_regions_in_view(lap: list[PhantomFrame]) -> None:
    for frame in lap:
        regions, _ = cv2.connectedComponents(frame.mask.astype(np.uint8))
        assert regions <= 2  # the background and one polyp


def test_the_mask_is_where_the_polyp_is_drawn(plain: list[PhantomFrame]) -> None:
    # A polyp of another colour changes the picture inside its mask, and nothing beyond the edge's blur.
    seen = 0
    for a, b in zip(plain, head(6, look=PolypLook(redness=0.9)), strict=True):
        assert np.array_equal(a.mask, b.mask)
        if a.mask.mean() < 0.01:  # far ones are dark, and so is what they change
            continue
        change = np.abs(a.bgr.astype(int) - b.bgr).max(axis=2)
        around = cv2.dilate(a.mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        assert change[~around].max() <= 8
        assert (change[a.mask] > 4).mean() > 0.9
        seen += 1
    assert seen >= 2


def test_relief_and_crease_change_what_is_drawn(plain: list[PhantomFrame]) -> None:
    flat = head(6, look=PolypLook(relief=0.5, crease=0.9))[-1]
    assert flat.mask.any()
    assert not np.array_equal(flat.mask, plain[-1].mask)
    foot = cv2.dilate(flat.mask.astype(np.uint8), np.ones((5, 5), np.uint8)) - flat.mask
    assert flat.bgr[foot > 0].mean() < 0.8 * plain[-1].bgr[foot > 0].mean()


def test_the_picture_is_lit_inside_a_black_border(lap: list[PhantomFrame]) -> None:
    for frame in lap[::8]:
        luma = cv2.cvtColor(frame.bgr, cv2.COLOR_BGR2GRAY)
        assert luma[:, 70:][[0, -1]].max() == 0
        assert luma[:, -2:].max() == 0
        picture = luma[40:-40, 120:-60]
        assert 60 < picture.mean() < 170
        assert (picture > 245).mean() < 0.15  # highlights, not glare
        red, blue = frame.bgr[40:-40, 120:-60, 2].mean(), frame.bgr[40:-40, 120:-60, 0].mean()
        assert red > 1.5 * blue


def test_the_automatic_crop_finds_the_picture(lap: list[PhantomFrame]) -> None:
    found = find_picture(cv2.cvtColor(lap[0].bgr, cv2.COLOR_BGR2GRAY))
    picture = Rect(67, 8, 246, 241)
    assert found.x <= picture.x
    assert found.x + found.width >= picture.x + picture.width
    assert found.width <= picture.width + 14
    assert found.height <= picture.height + 14


def test_neighbouring_frames_differ_a_little() -> None:
    a, b = itertools.islice(render_phantom(1, SIZE, fps=25), 2)
    difference = np.abs(a.bgr.astype(int) - b.bgr).mean()
    assert 0.5 < difference < 15


@pytest.mark.parametrize(
    ("seconds", "size", "fps"), [(0, SIZE, 25), (1, SIZE, 0), (1, (320, 32), 25), (float("nan"), SIZE, 25)]
)
def test_a_senseless_phantom_fails(seconds: float, size: tuple[int, int], fps: float) -> None:
    with pytest.raises(InputError, match="give a duration and a rate above 0"):
        render_phantom(seconds, size, fps)


def test_polyps_grow_in_the_stretches_asked_for() -> None:
    def shown(populated: list[tuple[float, float]]) -> list[bool]:
        return [bool(frame.mask.any()) for frame in render_phantom(26, (64, 64), 1, populated=populated)]

    first, second, again = slice(2, 7), slice(11, 16), slice(20, 25)  # seconds in which each is in view
    throughout = shown([(0, 26)])
    assert all(throughout[first] + throughout[second] + throughout[again])
    early = shown([(0, 2)])  # the second is out of sight for longer
    assert early[:10] == throughout[:10]
    assert not any(early[10:])
    late = shown([(12, 26)])  # the second was in sight, absent, when the stretch began
    assert not any(late[:19])
    assert all(late[again])


def test_a_polyp_that_is_absent_leaves_the_rest_of_the_colon_as_it_is() -> None:
    with_polyp, bare = (next(render_phantom(1, SIZE, populated=stretch)) for stretch in ([(0, 1)], []))
    change = np.abs(with_polyp.bgr.astype(int) - bare.bgr).max(axis=2)
    assert (change == 0).mean() > 0.9
