"""Masks as polygons that give them back."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rtpolyp.imaging.contour import fill_polygon
from rtpolyp.imaging.mask_outline import join_holes, trace_regions
from rtpolyp.labels.model import Region
from tests.runtime.labels.shapes import SIZE, masks


@pytest.mark.parametrize("name", masks())
def test_outlines_and_joined_polygons_give_the_mask_back(name: str) -> None:
    mask = masks()[name]
    outlines = trace_regions(mask)
    count, _ = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    assert len(outlines) == count - 1
    with_holes, joined = np.zeros_like(mask), np.zeros_like(mask)
    for outline in outlines:
        with_holes |= Region(outline).mask(SIZE)
        fill_polygon(join_holes(outline), joined)
    np.testing.assert_array_equal(with_holes, mask)
    np.testing.assert_array_equal(joined, mask)


def test_the_ring_has_two_holes_and_an_island() -> None:
    assert sorted(len(outline.holes) for outline in trace_regions(masks()["ring"])) == [0, 2]


@settings(max_examples=60, deadline=None)
@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_any_mask_comes_back(mask: np.ndarray) -> None:
    back, joined = np.zeros_like(mask), np.zeros_like(mask)
    for outline in trace_regions(mask):
        back |= Region(outline).mask(mask.shape[::-1])
        fill_polygon(join_holes(outline), joined)
    np.testing.assert_array_equal(back, mask)
    np.testing.assert_array_equal(joined, mask)


def test_an_outline_is_thinned() -> None:
    (outline,) = trace_regions(masks()["disc"])
    assert len(outline.outer) < 160 / 2  # of the 160 sides of pixels around it
