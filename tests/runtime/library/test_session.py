"""Session: one's own loop."""

import dataclasses

import cv2
import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect
from rtpolyp.pipeline import segment
from rtpolyp.video.source import open_source
from tests.runtime.red_disc import SPEC, disc, disc_clip, textured_disc
from tests.runtime.stub_engine import StubEngine

SIZE = 320, 240


def test_a_polyp_keeps_its_track_and_is_smoothed(model):
    session = model.session()
    results = [session(disc(index, SIZE), pts_seconds=index / 25) for index in range(10)]
    assert [result.polyps[0].track for result in results] == [1] * 10
    assert [result.index for result in results] == list(range(10))
    assert results[9].pts_seconds == 9 / 25
    alone = model(disc(9, SIZE), crop=results[9].view.crop)
    assert not np.array_equal(results[9].probability_map, alone.probability_map)


def test_frames_of_a_source_give_what_a_file_run_gives(model, tmp_path):
    clip = disc_clip(tmp_path / "clip.mp4", size=SIZE, frames=15)
    session = model.session(crop="off")
    with open_source(clip) as source:
        results = [session(frame) for frame in source]
    with StubEngine(SPEC) as engine:
        run = list(segment(open_source(clip), engine, crop="off"))
    assert [result.pts_seconds for result in results] == [one.segmentation.pts_seconds for one in run]
    for result, one in zip(results, run, strict=True):
        (mine,), (theirs,) = result.polyps, one.segmentation.polyps
        assert np.array_equal(mine.contour, theirs.contour)
        assert mine.track == theirs.track


def test_an_alert_comes_after_its_delay_and_once(model):
    session = model.session(alert_delay_ms=200)
    alerts = [session(textured_disc(index, SIZE), pts_seconds=index / 25).alert for index in range(10)]
    assert [alert.started for alert in alerts] == [False] * 5 + [True] + [False] * 4
    assert [alert.active for alert in alerts] == [False] * 5 + [True] * 5
    with pytest.raises(InputError, match="alert_delay_ms -1 is outside"):
        model.session(alert_delay_ms=-1)


@pytest.mark.parametrize("size", [(320, 240), (641, 481), (1280, 1024)])
def test_a_picture_that_stands_still_is_frozen(model, size):
    session = model.session()
    picture = cv2.resize(textured_disc(0, SIZE), size, interpolation=cv2.INTER_NEAREST)
    qualities = [session(picture, pts_seconds=index / 25).quality for index in range(16)]
    assert qualities[0] == "clear"
    assert qualities[-1] == "frozen"


def test_the_border_is_found_and_kept(model):
    def framed(index: int) -> np.ndarray:
        picture = np.zeros((480, 640, 3), np.uint8)
        picture[40:440, 120:600] = textured_disc(index, (480, 400))
        return picture

    session = model.session()
    crops = [session(framed(index), pts_seconds=index / 25).view.crop for index in range(20)]
    assert abs(crops[-1].x - 120) <= 8
    assert len(set(crops)) == 1
    given = model.session(crop=Rect(120, 40, 480, 400))
    assert given(framed(0), pts_seconds=0).view.crop == Rect(120, 40, 480, 400)


def test_a_time_that_goes_back_starts_anew(model):
    session = model.session()
    for index in range(3):
        session(disc(0, SIZE), pts_seconds=index / 25)
    assert session(disc(40, SIZE), pts_seconds=0.0).polyps[0].track == 2


def test_reset_forgets_the_past(model):
    session = model.session(crop="off")
    first = session(disc(0, SIZE), pts_seconds=0.0)
    session.reset()
    moved = session(disc(40, SIZE), pts_seconds=0.04)
    assert (first.polyps[0].track, moved.polyps[0].track) == (1, 2)
    assert np.array_equal(moved.probability_map, model(disc(40, SIZE)).probability_map)


def test_settings_may_be_replaced_between_two_frames(model):
    session = model.session()
    assert len(session(disc(0, SIZE), pts_seconds=0.0).polyps) == 1
    session.settings = dataclasses.replace(session.settings, minimum_area=0.9)
    assert session(disc(0, SIZE), pts_seconds=1.0).polyps == ()


def test_rgb_frames_are_told(model):
    session = model.session(channel_order="RGB")
    assert len(session(disc(0, SIZE)[..., ::-1], pts_seconds=0.0).polyps) == 1


@pytest.mark.parametrize("pts_seconds", [None, float("nan"), float("inf")])
def test_an_array_needs_its_time(model, pts_seconds):
    with pytest.raises(InputError, match="give the frame's time in seconds"):
        model.session()(disc(0, SIZE), pts_seconds=pts_seconds)


def test_frames_of_another_size_are_refused(model):
    session = model.session()
    session(disc(0, SIZE), pts_seconds=0)
    with pytest.raises(InputError, match="frame 1 has 160x128 pixels, but this session's first had 320x240"):
        session(disc(0, (160, 128)), pts_seconds=0.04)


def test_what_is_no_frame_is_refused(model):
    with pytest.raises(InputError, match="float64: give uint8"):
        model.session()(disc(0, SIZE) / 255, pts_seconds=0)
