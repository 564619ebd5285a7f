import cv2
import numpy as np
import pytest

from rtpolyp.imaging.deidentify import blank_outside
from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.overlay import Planes

SIZES = [(1280, 1024), (641, 479)]


def frame(width: int, height: int) -> Planes:
    """Noise with no sample that could pass for black, on planes with padded rows."""
    rng = np.random.default_rng(0)
    luma = rng.integers(60, 250, (height, width + 64), dtype=np.uint8)[:, :width]
    chroma = rng.integers(140, 250, (2, (height + 1) // 2, (width + 1) // 2 + 32), dtype=np.uint8)
    return luma, chroma[0, :, : (width + 1) // 2], chroma[1, :, : (width + 1) // 2]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("picture", [Rect(200, 20, 400, 440), Rect(201, 21, 333, 401)])
def test_all_is_black_outside_and_nothing_changes_inside(
    size: tuple[int, int], full_range: bool, picture: Rect
) -> None:
    planes, before = frame(*size), frame(*size)
    blank_outside(planes, picture, full_range=full_range)
    inside = np.zeros((size[1] + size[1] % 2, size[0] + size[0] % 2), np.bool_)
    x0, y0 = picture.x + picture.x % 2, picture.y + picture.y % 2  # rounded inwards: no shared chroma
    x1, y1 = (picture.x + picture.width) // 2 * 2, (picture.y + picture.height) // 2 * 2
    inside[y0:y1, x0:x1] = True
    masks = inside[: size[1], : size[0]], inside[::2, ::2], inside[::2, ::2]
    for plane, original, mask, black in zip(
        planes, before, masks, (0 if full_range else 16, 128, 128), strict=True
    ):
        assert (plane[~mask] == black).all()
        assert np.array_equal(plane[mask], original[mask])


def test_the_decoders_padding_is_left_alone() -> None:
    planes, before = frame(641, 479), frame(641, 479)
    blank_outside(planes, Rect(100, 100, 200, 200), full_range=False)
    padded, original = planes[0].base, before[0].base
    assert padded is not None
    assert original is not None
    assert np.array_equal(padded[:, 641:], original[:, 641:])


def test_a_picture_that_is_not_known_shows_nothing() -> None:
    planes = frame(641, 479)
    blank_outside(planes, None, full_range=False)
    assert [np.unique(plane).tolist() for plane in planes] == [[16], [128], [128]]


def test_the_whole_frame_stays_as_it_is() -> None:
    planes, before = frame(641, 479), frame(641, 479)
    blank_outside(planes, Rect(0, 0, 641, 479), full_range=False)
    for plane, original in zip(planes, before, strict=True):
        assert np.array_equal(plane, original)


def test_a_name_beside_the_picture_is_gone_from_every_plane() -> None:
    width, height = 640, 480
    planes = frame(width, height)
    for plane, scale in zip(planes, (1.0, 0.5, 0.5), strict=True):
        origin = round(5 * scale), round(60 * scale)
        cv2.putText(plane, "DOE JANE", origin, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 2, cv2.LINE_AA)
    assert planes[0][:100, :160].max() == 255
    blank_outside(planes, Rect(180, 0, 460, 480), full_range=False)
    assert (planes[0][:, :180] == 16).all()
    assert all((plane[:, :90] == 128).all() for plane in planes[1:])
