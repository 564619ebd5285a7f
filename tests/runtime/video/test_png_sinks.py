"""MaskSink and ImageSink."""

import cv2
import numpy as np
import pytest

from rtpolyp.errors import InputError, OutputError
from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.video.png_sinks import ImageSink, MaskSink
from rtpolyp.video.source import open_source
from tests.runtime.clips import Clip, make_clip, picture
from tests.runtime.video.test_images import write
from tests.runtime.video.test_json_sink import found

CORNERS = np.float32([[10, 20], [40, 20], [40, 60], [10, 60]])
SQUARE = Polyp(Rect(10, 20, 30, 40), 1200.0, 0.9, CORNERS, frame_size=(160, 128))


@pytest.fixture
def images(tmp_path):
    """A folder with images of two sizes."""
    folder = tmp_path / "images"
    folder.mkdir()
    write(folder / "small.png", picture(0))
    write(folder / "wide.jpg", picture(1, (321, 127)))
    return folder


@pytest.mark.parametrize("sink_type", [MaskSink, ImageSink])
def test_a_png_a_frame_by_its_name(tmp_path, images, sink_type):
    out = tmp_path / "new" / "out"
    with open_source(images) as source, sink_type(out, source) as sink:
        for frame in source:
            sink.write(frame, found(SQUARE))
    assert sorted(path.name for path in out.iterdir()) == ["small.png", "wide.png"]


def test_masks_are_of_the_frames_size_and_cover_the_polyps_exactly(tmp_path, images):
    with open_source(images) as source, MaskSink(tmp_path / "masks", source) as sink:
        frames = list(source)
        sink.write(frames[0], found(SQUARE))
        sink.write(frames[1], found())
    mask = cv2.imread(str(tmp_path / "masks" / "small.png"), cv2.IMREAD_UNCHANGED)
    expected = np.zeros((128, 160), np.uint8)
    expected[20:60, 10:40] = 255
    np.testing.assert_array_equal(mask, expected)
    empty = cv2.imread(str(tmp_path / "masks" / "wide.png"), cv2.IMREAD_UNCHANGED)
    assert empty.shape == (127, 321)
    assert not empty.any()


def test_images_show_what_was_drawn_on_the_frame(tmp_path, images):
    with open_source(images) as source, ImageSink(tmp_path / "out", source) as sink:
        frame, (luma, _, _) = next(iter(source)).writable()
        luma[60:80, 60:80] = 255
        sink.write(frame, found())
    shown = cv2.imread(str(tmp_path / "out" / "small.png"))
    np.testing.assert_array_equal(shown, frame.to_bgr())
    assert shown[60:80, 60:80].mean() > 200


def test_masks_of_a_video_are_named_by_index_even_beside_it(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=2))
    with open_source(clip) as source, MaskSink(tmp_path, source) as sink:
        for frame in source:
            sink.write(frame, found())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000.png", "000001.png", "clip.mp4"]


@pytest.mark.parametrize("sink_type", [MaskSink, ImageSink])
@pytest.mark.parametrize("single", [False, True])
def test_the_images_own_folder_fails(images, sink_type, single):
    before = {path: path.read_bytes() for path in images.iterdir()}
    with (
        open_source(images / "small.png" if single else images) as source,
        pytest.raises(InputError, match="output and input are the same folder; give another output"),
    ):
        sink_type(images, source)
    assert {path: path.read_bytes() for path in images.iterdir()} == before


def test_a_folder_that_cannot_be_made_fails(tmp_path, images):
    (tmp_path / "file").touch()
    with (
        open_source(images) as source,
        pytest.raises(OutputError, match=r"file/masks: cannot be written \(Not a directory\)"),
    ):
        MaskSink(tmp_path / "file" / "masks", source)


def test_a_full_disk_fails(tmp_path, images):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".small.png.part").symlink_to("/dev/full")
    with (
        open_source(images) as source,
        MaskSink(out, source) as sink,
        pytest.raises(OutputError, match=r"small\.png: cannot be written \(No space left on device\); make"),
    ):
        sink.write(next(iter(source)), found())
    assert not list(out.iterdir())
