"""Labels stand beside their points, cover nothing where there is room, and stay inside."""

import itertools

import pytest

from scripts.shipped.labels import Box, Label, place

PLOT = Box(0, 0, 400, 300)


def label(x: float, y: float, text: str = "a label") -> Label:
    return Label(text, x, y, "#000")


def test_boxes_share_an_area() -> None:
    assert Box(0, 0, 10, 10).shared(Box(5, 8, 20, 20)) == 10
    assert Box(0, 0, 10, 10).shared(Box(10, 0, 20, 10)) == 0


def test_a_free_label_stands_to_the_right_on_its_points_level() -> None:
    (placed,) = place([label(200, 150)], [], PLOT)
    assert (placed.x, placed.anchor) == (208, "start")
    assert placed.box.top < 150 < placed.box.bottom


@pytest.mark.parametrize(("x", "y"), [(395, 150), (5, 295), (5, 5), (395, 5)])
def test_labels_stay_inside(x: float, y: float) -> None:
    ((_, _, _, _, box),) = place([label(x, y)], [], PLOT)
    assert box.left >= 0
    assert box.top >= 0
    assert box.right <= 400
    assert box.bottom <= 300


def test_near_points_get_labels_that_do_not_overlap() -> None:
    points = [(200, 150), (206, 152), (212, 149), (203, 160)]
    markers = [Box(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    boxes = [placed.box for placed in place([label(*point) for point in points], markers, PLOT)]
    assert all(one.shared(other) == 0 for one, other in itertools.combinations(boxes, 2))
    assert all(box.shared(marker) == 0 for box in boxes for marker in markers)
