import cv2
import numpy as np
import pytest

from rtpolyp.errors import OutputError
from rtpolyp.measure.benchmark.histogram import (
    BAR,
    HEIGHT,
    MARKED,
    WIDTH,
    Panel,
    draw_histograms,
    write_histograms,
)

MODES = np.concatenate([np.full(300, 10.0), np.full(100, 14.0), np.full(2, 200.0)])


def columns(picture: np.ndarray, colour: tuple[int, int, int]) -> list[int]:
    """Columns with a vertical stroke of a colour, of neighbours the first."""
    found = np.flatnonzero((picture == colour).all(axis=2).sum(axis=0) > 40)
    return [int(x) for x in found if x - 1 not in found]


def test_two_modes_are_two_bars_and_the_tail_does_not_squeeze_them():
    picture = draw_histograms([Panel("latency", MODES)])
    assert picture.shape == (HEIGHT, WIDTH, 3)
    low, high = columns(picture, BAR)
    assert high - low > WIDTH / 2
    heights = [int((picture[:, x + 2] == BAR).all(axis=1).sum()) for x in (low, high)]
    assert heights[0] == pytest.approx(3 * heights[1], rel=0.1)


def test_percentiles_stand_where_they_are():
    picture = draw_histograms([Panel("latency", np.linspace(10.0, 20.0, 1001))])
    p50, p95, p99 = (columns(picture, colour)[0] for colour in MARKED.values())
    assert (p95 - p50) / (p99 - p50) == pytest.approx(45 / 49, abs=0.01)


def test_panels_are_stacked_and_a_constant_can_be_drawn(tmp_path):
    panels = [Panel("a", MODES), Panel("constant", np.full(10, 5.0)), Panel("tiny", np.array([0.001, 0.002]))]
    write_histograms(panels, tmp_path / "latency.png")
    assert cv2.imread(str(tmp_path / "latency.png")).shape == (3 * HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    ("name", "message"), [("latency.txt", "name it"), ("nowhere/latency.png", "folder that exists")]
)
def test_a_picture_that_cannot_be_written_fails(tmp_path, name, message):
    with pytest.raises(OutputError, match=message):
        write_histograms([Panel("a", MODES)], tmp_path / name)
