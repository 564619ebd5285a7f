"""What public dataclasses refuse: every field, with its name, the value, and what to give."""

import math
from fractions import Fraction

import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect
from rtpolyp.inference.bundle import load_bundle
from rtpolyp.inference.selection import open_engine
from rtpolyp.library.model import Model
from rtpolyp.live.live_options import LiveOptions
from rtpolyp.pipeline import segment, settings_for
from rtpolyp.run import run_file
from rtpolyp.settings import Settings
from rtpolyp.video.array_source import ArraySource
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.video_sink import EncoderSettings
from tests.runtime.red_disc import SPEC, disc
from tests.runtime.stub_engine import StubEngine

SIZE = 64, 64
POINT = {"threshold": 0.5, "minimum_area": 0.001, "minimum_confidence": 0.6}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"threshold": 1.0}, r"threshold 1 is outside \(0, 1\): give a probability"),
        ({"threshold": math.nan}, r"threshold nan is outside"),
        ({"threshold": "0.5"}, r"threshold '0.5' is no number"),
        ({"threshold": True}, r"threshold True is no number"),
        ({"minimum_area": -0.1}, r"minimum_area -0.1 is outside \[0, 1\]: give a fraction"),
        ({"minimum_confidence": 2}, r"minimum_confidence 2 is outside \[0, 1\]"),
        ({"style": "circle"}, r"style 'circle' is unknown; there are: outline, fill, box"),
        ({"style": "outlin"}, r"style 'outlin' is unknown; did you mean outline\? there are"),
        ({"overlay": "no"}, r"overlay 'no': give True or False"),
    ],
)
def test_settings_refuse(fields, message):
    with pytest.raises(InputError, match=message):
        Settings(**(POINT | fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"crop": "middle"}, 'crop \'middle\' is unknown: give "auto", "off" or rtpolyp.Rect'),
        ({"max_age_ms": -1}, r"max_age_ms -1 is outside \[0, inf\): give milliseconds"),
        ({"alert_delay_ms": -1}, "alert_delay_ms -1 is outside"),
        ({"tone": 1}, "tone 1: give True or False"),
        ({"deidentify": True, "crop": "off"}, "deidentify: blanks what crop leaves out"),
    ],
)
def test_live_options_refuse(fields, message):
    with pytest.raises(InputError, match=message):
        LiveOptions(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"deinterlace": "yes"}, "deinterlace 'yes' is unknown; there are: auto, on, off"),
        ({"frame_rate": 30}, "frame_rate 30: give a text"),
        ({"stall_seconds": 0}, "stall_seconds 0 is outside"),
    ],
)
def test_input_options_refuse(fields, message):
    with pytest.raises(InputError, match=message):
        InputOptions(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"preset": "ultrafats"}, "did you mean ultrafast"), ({"crf": 60}, r"crf 60 is outside \[0, 51\]")],
)
def test_encoder_settings_refuse(fields, message):
    with pytest.raises(InputError, match=message):
        EncoderSettings(**fields)


def test_settings_for_takes_the_bundles_own_point_but_for_what_is_given():
    settings = settings_for(SPEC, threshold=0.25, style="box")
    assert settings == Settings(0.25, SPEC.minimum_area, SPEC.minimum_confidence, style="box")
    with pytest.raises(TypeError, match="treshold"):
        settings_for(SPEC, treshold=0.25)


def test_close_names_of_bundles_and_backends_are_suggested():
    with pytest.raises(Exception, match=r"pranet-of: no such bundle.* did you mean pranet-if\?"):
        load_bundle("pranet-of")
    with pytest.raises(InputError, match=r"backend 'openvno' is unknown; did you mean openvino\?"):
        open_engine(backend="openvno")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "threads 0: give at least 1"),
        ({"threads": 1.5}, "threads 1.5 is no whole number: give processors"),
        ({"batch": "2"}, "batch '2' is no whole number: give frames"),
        ({"size": 288}, r"size 288: give \(width, height\) in pixels"),
        ({"size": (288.0, 288.0)}, r"size \(288.0, 288.0\): give \(width, height\)"),
        ({"size": (100, 288)}, "size 100x288: give multiples of 32"),
    ],
)
def test_options_of_an_engine_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        open_engine(**options)


def test_a_rectangle_has_whole_pixels():
    assert Rect(np.int32(3), 4, 5, 6) == Rect(3, 4, 5, 6)
    with pytest.raises(InputError, match=r"width 0\.5 is no whole number: give whole pixels"):
        Rect(0, 0, 0.5, 10)


def test_no_way_in_takes_an_unknown_crop(tmp_path):
    message = "crop 'middle' is unknown"
    with Model(StubEngine(SPEC)) as model:
        for look in (
            lambda: model(disc(0, SIZE), crop="middle"),
            lambda: model.session(crop="middle"),
            lambda: list(model.stream([disc(0, SIZE)], crop="middle")),
            lambda: list(segment(ArraySource([], SIZE, Fraction(25)), model.engine, crop="middle")),
            lambda: run_file(tmp_path, Outputs(), model=model.engine, crop="middle"),
        ):
            with pytest.raises(InputError, match=message):
                look()
