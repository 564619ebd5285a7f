import numpy as np
import pytest

from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.tracking.departure import POINTED_SECONDS, Departures

PICTURE = Rect(100, 0, 400, 400)
FRAME_SECONDS = 0.04


def polyp(x: float, y: float = 200.0, radius: float = 40.0, track: int = 1) -> Polyp:
    """A disc, cut off at the picture's edge as what leaves the picture is."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    contour = np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)
    contour = np.clip(contour, (PICTURE.x, PICTURE.y), (500, 400)).astype(np.float32)
    return Polyp(Rect(0, 0, 1, 1), 1.0, 0.9, contour, track, frame_size=(1000, 1000))


def leave(departures: Departures, frames: int = 10, **where: float) -> float:
    """Outline a polyp for some frames that end at `where`; return the pts of the last."""
    for index in range(frames):
        assert departures([polyp(**where)], index * FRAME_SECONDS, PICTURE) == ()
    return (frames - 1) * FRAME_SECONDS


def test_an_arrow_stands_where_a_polyp_left_for_two_seconds() -> None:
    departures = Departures()
    last = leave(departures, x=490.0)
    times = np.arange(1, 80) * FRAME_SECONDS
    shown = [departures([], last + time, PICTURE) for time in times]
    visible = [time for time, points in zip(times, shown, strict=True) if points]
    assert min(visible) == pytest.approx(0.2, abs=0.041)
    assert max(visible) == pytest.approx(POINTED_SECONDS, abs=0.041)
    ((x, y),) = shown[10]
    assert x == pytest.approx(500, abs=1)
    assert y == pytest.approx(200, abs=5)


def test_an_octagons_cut_corner_is_its_edge() -> None:
    departures = Departures()
    last = leave(departures, x=430.0, y=330.0)
    ((x, y),) = departures([], last + 0.5, PICTURE)
    assert (x - 300) / 200 + (y - 200) / 200 == pytest.approx(1.55, abs=0.01)


def test_a_polyp_that_vanishes_inside_has_not_left() -> None:
    departures = Departures()
    last = leave(departures, x=300.0)
    assert departures([], last + 0.5, PICTURE) == ()


def test_a_polyp_that_comes_back_ends_the_arrow() -> None:
    departures = Departures()
    last = leave(departures, x=490.0)
    assert departures([], last + 0.5, PICTURE)
    assert departures([polyp(x=440.0)], last + 0.6, PICTURE) == ()
    assert departures([], last + 0.7, PICTURE) == ()


def test_a_glimpse_gets_no_arrow() -> None:
    departures = Departures()
    last = leave(departures, frames=3, x=490.0)
    assert departures([], last + 0.5, PICTURE) == ()


def test_polyps_without_a_track_are_not_followed() -> None:
    departures = Departures()
    untracked = Polyp(Rect(0, 0, 1, 1), 1.0, 0.9, polyp(490.0).contour, frame_size=(1000, 1000))
    for index in range(10):
        departures([untracked], index * FRAME_SECONDS, PICTURE)
    assert departures([], 0.8, PICTURE) == ()


def test_a_timestamp_that_goes_back_starts_anew() -> None:
    departures = Departures()
    last = leave(departures, x=490.0)
    assert departures([], last + 0.5, PICTURE)
    assert departures([], 0.0, PICTURE) == ()
