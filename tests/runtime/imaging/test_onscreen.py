import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rtpolyp.imaging import onscreen
from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.onscreen import Badge, draw_arrow, draw_badges, draw_track_ids
from rtpolyp.imaging.overlay import Planes
from rtpolyp.imaging.polyp import Polyp

SIZES = [(352, 288), (641, 479), (720, 576), (1280, 1024), (1920, 1080)]
LONG = "no frame for 12 s, connecting again to the camera"
DUE = [  # all that can be due at once
    onscreen.polyp_alert(12),
    onscreen.FROZEN,
    onscreen.no_signal(LONG),
    onscreen.ai_off(LONG),
    onscreen.OVERLAY_OFF,
    onscreen.RESEARCH_USE,
    onscreen.recording_failed(LONG),
    onscreen.MUTED,
]
KINDS = [
    onscreen.polyp_alert(3),
    onscreen.ai_off("engine restarting"),
    onscreen.ai_reduced("every 2nd frame"),
    onscreen.RECORDING,
    onscreen.RESEARCH_USE,
]
CONTRAST = 4.5  # the Web Content Accessibility Guidelines' least for text (WCAG 2.2, 1.4.3)


def frame(width: int, height: int, level: tuple[int, int, int] = (120, 110, 160)) -> Planes:
    """A plain mucosa-coloured frame on planes whose rows are padded."""
    chroma_width, chroma_height = (width + 1) // 2, (height + 1) // 2
    luma = np.full((height, width + 64), level[0], np.uint8)[:, :width]
    u = np.full((chroma_height, chroma_width + 32), level[1], np.uint8)[:, :chroma_width]
    v = np.full((chroma_height, chroma_width + 32), level[2], np.uint8)[:, :chroma_width]
    return luma, u, v


def changed(planes: Planes) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where luma, and where chroma, differs from the plain frame."""
    height, width = planes[0].shape
    before = frame(width, height)
    luma, u, v = (plane != original for plane, original in zip(planes, before, strict=True))
    return luma, u | v


def box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def bgr_of(planes: Planes) -> NDArray[np.uint8]:
    """By OpenCV's limited-range BT.601; even sizes only."""
    packed = np.concatenate([plane.ravel() for plane in planes]).reshape(-1, planes[0].shape[1])
    return np.asarray(cv2.cvtColor(packed, cv2.COLOR_YUV2BGR_I420), np.uint8)


def relative_luminance(bgr: NDArray[np.uint8]) -> NDArray[np.float64]:
    """As the Web Content Accessibility Guidelines define it, of sRGB."""
    channels = bgr.astype(np.float64) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ (0.0722, 0.7152, 0.2126), np.float64)


@pytest.mark.parametrize("size", SIZES)
def test_all_badges_at_once_leave_the_middle_and_the_top_left_free(size: tuple[int, int]) -> None:
    width, height = size
    planes = frame(*size)
    draw_badges(planes, DUE, full_range=False)
    luma, chroma = changed(planes)
    assert luma.sum() > 0.02 * width * height
    for mask, scale in ((luma, 1.0), (chroma, 0.5)):
        columns, rows = (np.array((0.3, 0.7)) * side * scale for side in size)
        assert not mask[int(rows[0]) : int(rows[1]), int(columns[0]) : int(columns[1])].any()
        assert not mask[: int(0.5 * height * scale), : int(0.5 * width * scale)].any()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("badge", DUE, ids=lambda badge: badge.title)
def test_a_badge_stays_in_its_corner_and_off_the_padding(badge: Badge, size: tuple[int, int]) -> None:
    width, height = size
    planes = frame(*size)
    draw_badges(planes, [badge], full_range=False)
    x0, y0, x1, y1 = box(changed(planes)[0])
    assert x1 - x0 <= 0.43 * width
    assert y1 - y0 <= 0.15 * height
    margin = 0.03 * height
    assert (x0 if badge.corner == "bottom-left" else width - x1) <= margin
    assert (y0 if badge.corner == "top-right" else height - y1) <= margin
    assert planes[0].base is not None
    assert (planes[0].base[:, width:] == 120).all()


@pytest.mark.parametrize("size", SIZES)
def test_badges_stack_without_touching(size: tuple[int, int]) -> None:
    one, both = frame(*size), frame(*size)
    draw_badges(one, [onscreen.no_signal("cable")], full_range=False)
    draw_badges(both, [onscreen.no_signal("cable"), onscreen.ai_off("restarting")], full_range=False)
    first, stacked = changed(one)[0], changed(both)[0]
    assert np.array_equal(both[0][first], one[0][first])
    assert box(stacked)[1] < box(first)[1]
    assert not stacked.any(axis=1)[box(stacked)[1] :].all()  # a gap shows the frame


@pytest.mark.parametrize("size", [(352, 288), (1920, 1080)])
@pytest.mark.parametrize("badge", KINDS, ids=lambda badge: badge.kind)
def test_text_is_tall_and_in_strong_contrast(badge: Badge, size: tuple[int, int]) -> None:
    planes = frame(*size)
    draw_badges(planes, [badge], full_range=False)
    x0, y0, x1, y1 = box(changed(planes)[0])
    panel = relative_luminance(bgr_of(planes)[y0:y1, x0:x1])
    darkest, brightest = np.percentile(panel, (1, 99))
    assert (brightest + 0.05) / (darkest + 0.05) >= CONTRAST
    ground = panel[0, 0]
    text = np.abs(panel - ground) > 0.3 * np.abs(panel - ground).max()
    rows = text[: (y1 - y0) // 2 if badge.detail else None].any(axis=1)
    assert rows.sum() >= max(9, size[1] / 60)  # capitals' height


@pytest.mark.parametrize("full_range", [False, True])
def test_panels_are_the_colours_they_should_be_on_all_planes(full_range: bool) -> None:
    planes = frame(1280, 1024)
    draw_badges(planes, [onscreen.ai_off("restarting"), onscreen.polyp_alert(1)], full_range=full_range)
    x0, _, _, y1 = box(changed(planes)[0][:, :640])
    span, chroma, black = (255, 255, 0) if full_range else (219, 224, 16)
    yellow = [int(planes[0][y1 - 3, x0 + 3]), *(int(plane[y1 // 2 - 2, x0 // 2 + 2]) for plane in planes[1:])]
    assert yellow == pytest.approx([black + 0.85 * span, 128 - 0.33 * chroma, 128 + 0.07 * chroma], abs=1)
    assert planes[0].min() >= black
    assert planes[0].min() <= black + 1  # text


def test_the_kinds_differ_without_colour() -> None:
    """Each sign is a shape of its own: the luma of the badges' left ends, as if all panels were alike."""
    signs = []
    for badge in (*KINDS[:1], onscreen.ai_off(""), onscreen.MUTED, onscreen.RECORDING):
        planes = frame(1280, 1024)
        draw_badges(planes, [badge], full_range=True)
        x0, y0, x1, y1 = box(changed(planes)[0])
        sign = planes[0][y0:y1, x0:x1][10:36, 10:36].astype(float)
        signs.append(np.abs(sign - planes[0][y0 + 1, x0 + 1]) > 40)
    for index, sign in enumerate(signs):
        assert 0.05 < sign.mean() < 0.9
        for other in signs[index + 1 :]:
            assert (sign != other).mean() > 0.1


def test_a_detail_that_is_too_long_is_cut_off_and_text_is_ascii() -> None:
    def picture(badge: Badge) -> NDArray[np.uint8]:
        planes = frame(640, 480)
        draw_badges(planes, [badge], full_range=False)
        return planes[0]

    assert np.array_equal(
        picture(onscreen.ai_off(LONG + " a")), picture(onscreen.ai_off(LONG + " b"))
    )  # the end is off
    assert np.array_equal(picture(onscreen.ai_off("µ°")), picture(onscreen.ai_off("??")))
    assert not np.array_equal(picture(onscreen.ai_off("restarting")), picture(onscreen.ai_off("hung")))


def test_a_bare_badge_has_no_detail() -> None:
    assert onscreen.no_signal("doe_jane.mp4: timed out").bare() == onscreen.no_signal("")


def test_a_frame_smaller_than_its_badges_is_no_error() -> None:
    planes = frame(40, 24)
    draw_badges(planes, DUE, full_range=False)
    assert changed(planes)[0].any()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.4, 0.4), (0.9, 0.9)])
def test_a_track_id_stands_beside_its_box(size: tuple[int, int], place: tuple[float, float]) -> None:
    width, height = size
    rect = Rect(round(place[0] * width), round(place[1] * height), width // 12, height // 12)
    planes = frame(*size)
    polyp = Polyp(rect, 1, 0.9, np.zeros((3, 2), np.float32), track=7, frame_size=size)
    draw_track_ids(planes, [polyp], full_range=False)
    x0, y0, x1, y1 = box(changed(planes)[0])
    assert x0 <= min(width, rect.x + rect.width) + 0.05 * width
    assert x1 >= min(width, rect.x + rect.width) - 0.05 * width
    assert abs((y0 + y1) / 2 - max(0, rect.y)) < 0.08 * height
    assert x1 - x0 < 0.15 * width
    luma, chroma = changed(planes)
    assert 0.1 < luma[y0:y1, x0:x1].mean() < 0.95  # the mucosa around the digits stays
    assert chroma.any()


def test_polyps_without_a_track_have_no_id() -> None:
    planes = frame(640, 480)
    polyp = Polyp(Rect(100, 100, 50, 50), 1, 0.9, np.zeros((3, 2), np.float32), frame_size=(640, 480))
    draw_track_ids(planes, [polyp], full_range=False)
    assert not changed(planes)[0].any()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("at", "side"), [((1.0, 0.5), 0), ((0.0, 0.5), 1), ((0.5, 0.0), 2), ((0.5, 1.0), 3)])
def test_an_arrow_stands_inside_the_edge_and_points_outwards(
    size: tuple[int, int], at: tuple[float, float], side: int
) -> None:
    width, height = size
    picture = Rect(width // 4, 10, width // 2, height - 20)
    planes = frame(*size)
    point = picture.x + at[0] * picture.width, picture.y + at[1] * picture.height
    draw_arrow(planes, picture, point, full_range=False)
    luma, chroma = changed(planes)
    x0, y0, x1, y1 = box(luma)
    assert x0 >= picture.x
    assert y0 >= picture.y
    assert x1 <= picture.x + picture.width
    assert y1 <= picture.y + picture.height
    assert max(x1 - x0, y1 - y0) < 0.1 * height
    extent = luma[y0:y1, x0:x1].sum(axis=0 if side < 2 else 1)  # widths along the arrow, from left or top
    if side in (1, 2):
        extent = extent[::-1]
    assert extent[-2:].mean() < 0.5 * extent.max()  # the tip is thin and lies outwards
    assert 0.15 < chroma.sum() / luma.sum() < 0.35  # a quarter of the samples
