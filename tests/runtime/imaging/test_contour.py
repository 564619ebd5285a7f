import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rtpolyp.imaging.contour import fill_polygon, smooth_outline, trace_outline


def borders(inside: NDArray[np.bool_]) -> list[NDArray[np.int32]]:
    found, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [border[:, 0] for border in found]


@pytest.mark.parametrize("seed", range(200))
def test_outlines_enclose_exactly_the_regions_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    field = np.full((14, 17), -3, np.int16)
    field[1:-1, 1:-1] = rng.integers(-3, 4, (12, 15)) + rng.integers(-2, 3)  # from specks to sponges
    inside = field > 0.5
    regions = np.zeros((14, 17), np.uint8)
    for border in borders(inside):
        cv2.drawContours(regions, [border[:, np.newaxis]], 0, 1, cv2.FILLED)  # holes filled

    filled = np.zeros((14, 17), np.bool_)
    for border in borders(inside):
        fill_polygon(trace_outline(border, field, 0.5), filled)
    assert np.array_equal(filled, regions > 0)


def test_the_outline_of_a_disc_is_a_circle() -> None:
    worst = 0.02  # pixels; linear interpolation of a distance that is not linear
    rows, columns = np.mgrid[:60, :60] + 0.5
    distance = 20 - np.hypot(columns - 30.3, rows - 29.6)
    field = np.asarray(np.rint(distance * 1000), np.int16)
    outline = trace_outline(borders(field > 0.5)[0], field, 0.5)
    radii = np.hypot(*(outline - np.array([30.3, 29.6])).T)
    assert np.abs(radii - 20).max() < worst


def test_smoothing_keeps_a_circle_and_needs_few_points() -> None:
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    circle = np.stack([50 + 30 * np.cos(angle), 50 + 30 * np.sin(angle)], axis=1).astype(np.float32)
    thinned = smooth_outline(circle, 0.1)
    assert np.abs(np.hypot(*(thinned - 50).T) - 30).max() < 0.1
    assert len(thinned) < 100


def test_smoothing_lessens_the_stairs_of_a_binary_field() -> None:
    rows, columns = np.mgrid[:60, :60] + 0.5
    field = np.where(np.hypot(columns - 30, rows - 30) < 20, 255, 0).astype(np.int16)
    outline = trace_outline(borders(field > 0)[0], field, 127.5)

    def roughness(points: NDArray[np.float32]) -> float:
        return float(np.std(np.hypot(*(points - 30).T)))

    assert roughness(smooth_outline(outline, 0.01)) < 0.6 * roughness(outline)


def test_a_short_outline_is_not_smoothed_away() -> None:
    diamond = np.array([(1, 0), (2, 1), (1, 2), (0, 1)], np.float32)
    assert np.array_equal(smooth_outline(diamond, 0.1), diamond)


def test_filling_follows_pixel_centres() -> None:
    mask = np.zeros((6, 8), np.bool_)
    fill_polygon(np.array([(1.4, 2), (5.6, 2), (5.6, 4.4), (1.4, 4.4)], np.float32), mask)
    expected = np.zeros((6, 8), np.bool_)
    expected[2:4, 1:6] = True  # centres 1.5 to 5.5 and 2.5, 3.5
    assert np.array_equal(mask, expected)


def test_filling_cuts_at_the_masks_edge_and_keeps_what_is_set() -> None:
    mask = np.zeros((6, 8), np.bool_)
    mask[5, 7] = True
    fill_polygon(np.array([(-3, -3), (4, -3), (4, 3), (-3, 3)], np.float32), mask)
    assert mask[:3, :4].all()
    assert mask[5, 7]
    assert mask.sum() == 13


def test_a_polygon_between_two_lines_of_centres_fills_nothing() -> None:
    mask = np.zeros((6, 8), np.bool_)
    fill_polygon(np.array([(1, 2.6), (6, 2.6), (6, 3.4)], np.float32), mask)
    assert not mask.any()
