"""Result: what is drawn, written, shown and handed on."""

import os
import subprocess
import sys
import textwrap
import time

import cv2
import numpy as np
import pytest

from rtpolyp.errors import BackendError, InputError, OutputError
from rtpolyp.imaging.overlay import pen_margin
from rtpolyp.settings import Settings
from tests.runtime.red_disc import disc

SIZE = 321, 241  # odd
SHOW = """
    from tests.runtime.stub_engine import StubEngine
    from rtpolyp.library.model import Model
    from tests.runtime.red_disc import SPEC, disc
    with Model(StubEngine(SPEC)) as model:
        model(disc(0, (320, 240))).show()
    print("shown")
"""


@pytest.fixture
def result(model):
    return model(disc(10, SIZE))


def test_the_probability_is_float_at_both_sizes(model, result):
    assert result.probability_map.shape == model.size[::-1]
    assert result.probability.shape == (241, 321)
    for values in (result.probability_map, result.probability):
        assert values.dtype == np.float32
        assert 0 <= values.min() < 0.5 < values.max() <= 1
    inside = result.probability >= result.settings.threshold
    assert (inside != result.mask).mean() < 0.01


@pytest.mark.parametrize("style", ["outline", "fill", "box"])
def test_a_drawing_leaves_every_other_pixel_alone(result, style):
    picture = result.image.copy()
    drawn = result.draw(style)
    changed = (drawn != picture).any(axis=2)
    box, margin = result.polyps[0].box, pen_margin(*SIZE) + 1
    around = np.s_[box.y - margin : box.y + box.height + margin, box.x - margin : box.x + box.width + margin]
    assert changed.any()
    changed[around] = False
    assert not changed.any()
    assert np.array_equal(result.image, picture)  # a new array was drawn on


def test_styles_differ_and_unknown_ones_are_refused(result):
    drawings = [result.draw(style) for style in ("outline", "fill", "box")]
    assert not np.array_equal(drawings[0], drawings[1])
    assert not np.array_equal(drawings[0], drawings[2])
    assert np.array_equal(result.draw(), drawings[0])
    with pytest.raises(InputError, match="style 'circle' is unknown; there are: outline, fill, box"):
        result.draw("circle")


def test_the_line_is_the_overlays_cyan(result):
    blue, green, red = result.draw("box")[result.polyps[0].box.y, result.polyps[0].box.x + 20].astype(int)
    assert min(blue, green) > red + 60


def test_nothing_is_drawn_where_nothing_is_found(model):
    picture = np.full((96, 128, 3), (70, 80, 100), np.uint8)
    result = model(picture)
    drawn = result.draw()
    assert np.array_equal(drawn, picture)
    assert drawn is not picture
    assert not result.mask.any()
    assert repr(result) == "<Result of image: 128x96, no polyp>"


@pytest.mark.parametrize("name", ["out.png", "out.JPG", "out.webp"])
def test_save_writes_what_draw_gives(tmp_path, result, name):
    result.save(tmp_path / name, style="fill")
    written = cv2.imread(str(tmp_path / name))
    assert np.abs(written.astype(int) - result.draw("fill")).mean() < 3


def test_save_names_the_file_that_cannot_be_written(tmp_path, result):
    with pytest.raises(OutputError, match=r"out\.txt: a picture's name ends in one of bmp jpeg"):
        result.save(tmp_path / "out.txt")
    with pytest.raises(OutputError, match=r"out\.png: cannot be written \(No such file or directory\)"):
        result.save(tmp_path / "missing" / "out.png")


def test_a_notebook_gets_a_png_of_the_drawing(result):
    shown = cv2.imdecode(np.frombuffer(result._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(shown, result.draw())


def test_a_result_tells_itself_in_a_line(result):
    assert repr(result) == f"<Result of image: 321x241, 1 polyp ({result.polyps[0].confidence:.2f})>"


def test_supervision_gets_boxes_masks_and_confidences(model, result):
    supervision = pytest.importorskip("supervision")
    detections = result.to_supervision()
    box = result.polyps[0].box
    assert isinstance(detections, supervision.Detections)
    assert detections.xyxy.tolist() == [[box.x, box.y, box.x + box.width, box.y + box.height]]
    assert np.array_equal(detections.mask[0], result.mask)
    assert detections.confidence[0] == pytest.approx(result.polyps[0].confidence)
    assert detections.tracker_id is None
    assert list(detections["class_name"]) == ["polyp"]
    annotated = supervision.MaskAnnotator().annotate(result.image.copy(), detections)
    assert (annotated != result.image).any()
    assert len(model(np.full((96, 128, 3), 90, np.uint8)).to_supervision()) == 0


def test_supervision_gets_the_tracks_of_a_stream(model):
    pytest.importorskip("supervision")
    session = model.session(crop="off")
    for index in range(3):
        result = session(disc(index, SIZE), pts_seconds=index / 25)
    assert result.to_supervision().tracker_id.tolist() == [1]


def test_a_missing_supervision_is_named(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(BackendError, match="pip install supervision"):
        result.to_supervision()


def test_a_polyp_at_the_edge_is_drawn(model):
    picture = np.full((120, 160, 3), (70, 80, 100), np.uint8)
    picture[60:, 100:] = (60, 60, 230)
    result = model(picture)
    box = result.polyps[0].box
    assert (box.x + box.width, box.y + box.height) == (160, 120)
    assert (result.draw() != picture).any()


def test_an_overlay_that_is_off_in_the_settings_is_drawn_where_it_is_asked_for(model):
    settings = Settings(0.5, 0.001, 0.0, overlay=False)
    result = model(disc(0, SIZE), settings=settings)
    assert (result.draw() != result.image).any()


def test_show_stays_until_a_key_is_pressed(display):
    command = [sys.executable, "-c", textwrap.dedent(SHOW)]
    env = os.environ | {"DISPLAY": display.name}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            display.move(40, 80)
            display.press("q")  # until the window is there to take it
            time.sleep(0.2)
        process.kill()
        assert process.stdout.read() == "shown\n"
