"""Model on pictures that stand alone."""

import dataclasses
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp import load
from rtpolyp.errors import EngineError, InputError
from rtpolyp.imaging.geometry import Rect
from rtpolyp.library.model import Model
from rtpolyp.phantom import render_phantom
from rtpolyp.pipeline import segment
from rtpolyp.video.source import open_source
from tests.runtime.clips import make_clip
from tests.runtime.red_disc import SPEC, disc
from tests.runtime.stub_engine import StubEngine

SIZE = 320, 240
AS_A_FILE_RUN = (
    0.99  # Dice of the two masks: a run scales 4:2:0 planes, which differ by 0.4 levels on average
)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def write(path: Path, picture: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), picture)
    return path


def test_polyps_lie_where_they_are_in_the_picture(model):
    result = model(disc(10, SIZE))
    (polyp,) = result.polyps
    assert abs(polyp.box.x + polyp.box.width / 2 - 100) < 2
    assert abs(polyp.box.y + polyp.box.height / 2 - 120) < 2
    assert polyp.track is None
    assert (result.pts_seconds, result.alert, result.quality) == (None, None, None)
    assert result.size == SIZE


def test_a_mask_covers_its_polyp_at_the_pictures_size(model):
    picture = disc(0, SIZE)
    (polyp,) = model(picture).polyps
    assert polyp.mask.shape == (240, 320)
    assert polyp.mask.dtype == np.bool_
    assert polyp.mask.sum() == pytest.approx(polyp.area, rel=0.02)
    assert dice(polyp.mask, picture[..., 2] == 230) > 0.95


def test_a_file_gives_what_its_array_gives(model, tmp_path):
    path = write(tmp_path / "polyp_17.jpg", disc(3, SIZE))
    of_file, of_array = model(path), model(cv2.imread(str(path)))
    assert np.array_equal(of_file.probability_map, of_array.probability_map)
    assert np.array_equal(of_file.polyps[0].contour, of_array.polyps[0].contour)
    assert (of_file.name, of_array.name) == ("polyp_17", "image")
    assert model(str(path)).name == "polyp_17"


def test_a_frame_gives_what_a_file_run_gives(model, tmp_path):
    path = write(tmp_path / "image.png", disc(3, SIZE))
    with open_source(path) as source:
        (frame,) = source
    (run,) = segment(open_source(path), StubEngine(SPEC), crop="off")
    assert np.array_equal(model(frame).probability_map, run.segmentation.probability / np.float32(255))


def test_the_shipped_network_outlines_an_array_as_a_file_run_does(tmp_path):
    *_, last = render_phantom(6.0, (622, 528), fps=0.5, seed=2)
    picture = last.bgr
    path = write(tmp_path / "image.png", picture)
    with load("pranet-if", precision="fp32") as model:
        of_array = model(picture).mask
        with open_source(path) as source:
            of_file = model(next(iter(source))).mask
    assert of_array.any()
    assert dice(of_array, of_file) > AS_A_FILE_RUN


def test_a_list_gives_a_list_in_order(model):
    pictures = [disc(index, SIZE) for index in range(7)]
    results = model(pictures)
    assert [result.index for result in results] == list(range(7))
    assert [result.polyps[0].box for result in results] == [model(one).polyps[0].box for one in pictures]
    assert model([]) == []


def test_threads_share_a_model(model):
    expected = [model(disc(index, SIZE)).polyps[0].box for index in range(8)]
    found: dict[int, Rect] = {}

    def look(index: int) -> None:
        for _ in range(5):
            found[index] = model(disc(index, SIZE)).polyps[0].box

    threads = [threading.Thread(target=look, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [found[index] for index in range(8)] == expected


def test_rgb_is_told_and_never_guessed(model):
    picture = disc(0, SIZE)
    of_rgb = model(picture[..., ::-1], channel_order="RGB")
    assert of_rgb.polyps[0].box == model(picture).polyps[0].box
    assert np.array_equal(of_rgb.image, picture)
    assert model(picture[..., ::-1]).polyps == ()  # a blue disc
    with pytest.raises(InputError, match="channel_order 'rgb' is unknown; there are: BGR, RGB"):
        model(picture, channel_order="rgb")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (disc(0, SIZE).astype(np.float32) / 255, r"\(240, 320, 3\) float32: give uint8 from 0 to 255"),
        (disc(0, SIZE).astype(np.uint16), r"uint16: give uint8"),
        (disc(0, SIZE)[..., 0], r"\(240, 320\) uint8: give \(height, width, 3\), in colour"),
        (disc(0, SIZE)[..., :2], r"\(240, 320, 2\) uint8: give \(height, width, 3\), one picture"),
        (np.zeros((240, 320, 4), np.uint8), r"without the alpha channel: image\[..., :3\]"),
        (np.zeros((3, 240, 320), np.uint8), r"channels last: numpy.moveaxis\(image, 0, -1\)"),
        (np.zeros((2, 240, 320, 3), np.uint8), r"list\(images\)"),
        (np.zeros((8, 320, 3), np.uint8), r"at least 16x16 pixels"),
        (None, r"a builtins.NoneType: give a NumPy array"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_remedy(model, image, message):
    with pytest.raises(InputError, match=message):
        model(image)


def test_the_remedies_work(model):
    picture = disc(0, SIZE)
    expected = model(picture).polyps[0].box
    assert model(np.uint8(255 * (picture.astype(np.float32) / 255) + 0.5)).polyps[0].box == expected
    assert model(np.moveaxis(np.moveaxis(picture, -1, 0), 0, -1)).polyps[0].box == expected


@pytest.mark.parametrize("name", ["clip.mp4", "folder", "0", "rtsp://user:secret@tower/x"])
def test_what_holds_many_pictures_belongs_to_stream(model, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "clip.mp4")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"is no single picture; give it to model.stream") as caught:
        model(name)
    assert "secret" not in str(caught.value)


def test_a_missing_file_is_named(model, tmp_path):
    with pytest.raises(InputError, match=r"none\.png: no such file"):
        model(tmp_path / "none.png")


def test_settings_replace_the_operating_point(model):
    settings = dataclasses.replace(model.settings, threshold=0.95)
    assert model(disc(0, SIZE), settings=settings).polyps == ()
    assert model.settings.threshold == SPEC.threshold


def test_a_crop_is_looked_at_alone(model):
    picture = np.zeros((480, 640, 3), np.uint8)
    picture[40:440, 120:600] = disc(10, (480, 400))
    whole, found, given = (model(picture, crop=crop) for crop in ("off", "auto", Rect(120, 40, 480, 400)))
    assert whole.view.crop == Rect(0, 0, 640, 480)
    assert abs(found.view.crop.x - 120) <= 8
    assert given.view.crop == Rect(120, 40, 480, 400)
    assert abs(given.polyps[0].box.x - found.polyps[0].box.x) <= 4
    assert given.probability[:40].max() == 0
    with pytest.raises(InputError, match="leaves the 640x480 frame"):
        model(picture, crop=Rect(600, 0, 100, 100))


def test_a_failing_engine_is_an_error_and_the_next_picture_works():
    with Model(StubEngine(SPEC, fail_at=[0], capacity=1)) as model:
        with pytest.raises(EngineError, match="inference failed"):
            model(disc(0, SIZE))
        assert len(model(disc(0, SIZE)).polyps) == 1


def test_a_closed_model_says_so(model):
    model.close()
    model.close()
    with pytest.raises(EngineError, match="closed"):
        model(disc(0, SIZE))


def test_load_refuses_what_is_not_there():
    with pytest.raises(EngineError, match="no such bundle"):
        load("no-such-net")
    with pytest.raises(InputError, match="precision 'int9' is unknown"):
        load("pranet-if", precision="int9")


def test_load_opens_a_bundle_at_another_size():
    with load("pranet-if", precision="fp32", size=(96, 96), threads=1) as model:
        assert model.size == (96, 96)
        assert model(disc(0, SIZE)).probability_map.shape == (96, 96)
        assert repr(model).startswith("<Model pranet-if: openvino fp32")
