from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import Rect, make_view
from rtpolyp.imaging.overlay import Planes, draw_overlay, pen_margin
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.imaging.postprocess import rasterise
from rtpolyp.settings import Settings, Style

STYLES: tuple[Style, ...] = ("outline", "fill", "box")
SIZES = [(1280, 1024), (641, 479), (96, 63)]


def settings(style: Style = "outline", overlay: bool = True) -> Settings:
    return Settings(0.5, 0, 0, style=style, overlay=overlay)


def frame(width: int, height: int) -> Planes:
    """Mucosa-like noise on planes whose rows are padded, as decoders give them."""
    rng = np.random.default_rng(0)
    chroma_width, chroma_height = (width + 1) // 2, (height + 1) // 2
    luma = rng.integers(60, 180, (height, width + 64), dtype=np.uint8)[:, :width]
    u = rng.integers(100, 120, (chroma_height, chroma_width + 32), dtype=np.uint8)[:, :chroma_width]
    v = rng.integers(150, 170, (chroma_height, chroma_width + 32), dtype=np.uint8)[:, :chroma_width]
    return luma, u, v


def ellipse(x: float, y: float, a: float, b: float) -> Polyp:
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    contour = np.stack([x + a * np.cos(angle), y + b * np.sin(angle)], axis=1).astype(np.float32)
    (x0, y0), (x1, y1) = np.floor(contour.min(axis=0)).astype(int), np.ceil(contour.max(axis=0)).astype(int)
    box = Rect(int(x0), int(y0), int(x1 - x0), int(y1 - y0))
    return Polyp(box, np.pi * a * b, 0.9, contour, frame_size=(1280, 1024))


def polyps_of(width: int, height: int) -> tuple[Polyp, ...]:
    return ellipse(0.3 * width, 0.4 * height, 0.2 * width, 0.25 * height), ellipse(
        0.8 * width, 0.7 * height, 0.1 * width, 0.1 * height
    )


def copies(planes: Planes) -> Planes:
    y, u, v = (plane.copy() for plane in planes)
    return y, u, v


def allowed(polyps: Sequence[Polyp], width: int, height: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where luma and chroma may change: the boxes and the pen's margin around them."""
    luma = np.zeros((height + height % 2, width + width % 2), np.bool_)
    margin = pen_margin(width, height)
    for polyp in polyps:
        box = polyp.box
        luma[
            max(0, box.y - margin) : box.y + box.height + margin,
            max(0, box.x - margin) : box.x + box.width + margin,
        ] = True
    chroma = luma[::2, ::2] | luma[1::2, ::2] | luma[::2, 1::2] | luma[1::2, 1::2]
    return luma[:height, :width], chroma


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", SIZES)
def test_only_the_boxes_change(style: Style, size: tuple[int, int]) -> None:
    polyps = polyps_of(*size)
    before, planes = frame(*size), frame(*size)
    draw_overlay(planes, polyps, settings(style), full_range=False)
    luma, chroma = allowed(polyps, *size)
    for plane, original, inside in zip(planes, before, (luma, chroma, chroma), strict=True):
        assert np.array_equal(plane[~inside], original[~inside])
        assert (plane[inside] != original[inside]).any()


@pytest.mark.parametrize("style", STYLES)
def test_polyps_at_the_frames_edge_stay_inside(style: Style) -> None:
    planes = frame(641, 479)
    padded = [plane.base for plane in planes]
    before = [base.copy() for base in padded if base is not None]
    draw_overlay(
        planes, [ellipse(0, 0, 80, 60), ellipse(641, 479, 90, 90)], settings(style), full_range=False
    )
    for base, original, plane in zip(padded, before, planes, strict=True):
        assert base is not None
        assert np.array_equal(base[:, plane.shape[1] :], original[:, plane.shape[1] :])


@pytest.mark.parametrize(("polyps", "overlay"), [((), True), (polyps_of(640, 480), False)])
def test_nothing_to_draw_leaves_the_frame_untouched(polyps: tuple[Polyp, ...], overlay: bool) -> None:
    planes = frame(640, 480)
    draw_overlay(planes, polyps, settings(overlay=overlay), full_range=False)
    for plane, original in zip(planes, frame(640, 480), strict=True):
        assert np.array_equal(plane, original)


def test_the_line_follows_the_contour_on_all_planes() -> None:
    width, height = 640, 480
    polyp = ellipse(300, 240, 150, 100)
    planes = frame(width, height)
    draw_overlay(planes, [polyp], settings(), full_range=False)
    points = np.floor(polyp.contour).astype(int)
    y, u, v = planes
    assert np.abs(y[points[:, 1], points[:, 0]].astype(int) - (16 + 0.67 * 219)).max() <= 3
    half = points // 2
    assert v[half[:, 1], half[:, 0]].max() < 110  # far below mucosa's 150 to 170
    assert u[half[:, 1], half[:, 0]].min() > 125


def test_luma_inside_the_outline_is_not_touched() -> None:
    polyp = ellipse(300, 240, 150, 100)
    planes = frame(640, 480)
    draw_overlay(planes, [polyp], settings("fill"), full_range=False)
    inner = (
        rasterise([ellipse(300, 240, 150 - pen_margin(640, 480), 100 - pen_margin(640, 480))], (640, 480)) > 0
    )
    assert np.array_equal(planes[0][inner], frame(640, 480)[0][inner])
    assert (
        planes[2][120 - 30 : 120 + 30, 150 - 30 : 150 + 30] < 150
    ).all()  # but chroma has turned away from red


def test_full_range_reaches_black_at_zero() -> None:
    for full_range, black in ((True, 0), (False, 16)):
        planes = frame(640, 480)
        draw_overlay(planes, [ellipse(300, 240, 150, 100)], settings(), full_range=full_range)
        assert planes[0].min() >= black
        assert planes[0].min() <= black + 8


def test_the_line_grows_with_the_frame() -> None:
    def pen(width: int, height: int) -> float:
        planes = frame(width, height)
        polyp = ellipse(width / 2, height / 2, width / 5, height / 5)
        draw_overlay(planes, [polyp], settings("box"), full_range=True)
        length = 2 * (polyp.box.width + polyp.box.height)
        return float((planes[0] != frame(width, height)[0]).sum() / length)

    assert 1.3 < pen(2560, 2048) / pen(1280, 1024) < 2.2


def test_overlapping_polyps_show_the_largest_on_top() -> None:
    large, small = ellipse(300, 240, 150, 100), ellipse(420, 240, 60, 60)
    both, alone = frame(640, 480), frame(640, 480)
    draw_overlay(both, [large, small], settings(), full_range=False)
    draw_overlay(alone, [large], settings(), full_range=False)
    crossing = np.floor(large.contour).astype(int)
    assert np.array_equal(both[0][crossing[:, 1], crossing[:, 0]], alone[0][crossing[:, 1], crossing[:, 0]])


def test_the_overlay_looks_cyan_after_conversion_to_bgr() -> None:
    planes = copies(frame(640, 480))
    polyp = ellipse(300, 240, 150, 100)
    draw_overlay(planes, [polyp], settings(), full_range=False)
    packed = np.concatenate([plane.ravel() for plane in planes]).reshape(-1, 640)
    bgr = cv2.cvtColor(packed, cv2.COLOR_YUV2BGR_I420)
    points = np.floor(polyp.contour).astype(int)
    blue, green, red = bgr[points[:, 1], points[:, 0]].astype(int).T
    assert np.median(blue) > 180
    assert np.median(green) > 180
    assert np.median(red) < 60


def test_the_view_and_the_overlay_agree_on_coordinates() -> None:
    from rtpolyp.imaging.postprocess import find_polyps

    probability = np.zeros((60, 80), np.uint8)
    probability[20:40, 30:50] = 255
    polyps = find_polyps(probability, make_view((640, 480), (80, 60)), settings())
    planes = frame(640, 480)
    draw_overlay(planes, polyps, settings(), full_range=False)
    changed = np.argwhere((planes[0] != frame(640, 480)[0]).any(axis=0))
    assert (changed.min() + changed.max() + 1) / 2 == pytest.approx(320, abs=0.6)
