"""Images and folders of images as sources."""

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import make_view
from rtpolyp.imaging.image_file import read_image
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.video.frame_normaliser import FrameNormaliser
from rtpolyp.video.network_scaler import NetworkScaler
from rtpolyp.video.source import open_source
from tests.runtime.clips import code_of, picture

LOSSY = 3.0  # levels: JPEG at quality 95, or chroma halved at hard edges


def write(path, pixels, *parameters):
    """Write an image by OpenCV, wherever the path leads."""
    encoded = cv2.imencode(path.suffix, pixels, parameters)[1]
    path.write_bytes(encoded.tobytes())
    return path


@pytest.mark.parametrize("extension", ["jpg", "jpeg", "png", "bmp", "tif", "tiff", "webp", "JPG"])
def test_a_single_image(tmp_path, extension):
    path = write(tmp_path / f"Käse %03d.{extension}", picture(5))
    with open_source(path) as source:
        assert not source.is_sequence
        assert (source.size, source.frame_rate, source.format, source.audio) == (None, None, None, None)
        assert source.frame_count == 1
        (frame,) = source
    assert frame.name == "Käse %03d"
    assert frame.size == (160, 128)
    assert np.abs(frame.to_bgr().astype(int) - picture(5)).mean() < LOSSY


@pytest.mark.parametrize("size", [(161, 127), (1280, 720)])
@pytest.mark.parametrize("extension", ["jpg", "png", "tif", "webp", "jp2"])
def test_the_network_sees_what_it_was_trained_on(tmp_path, extension, size):
    path = write(tmp_path / f"image.{extension}", picture(5, size))
    (frame,) = open_source(path)
    view = make_view(frame.size, (96, 96))
    trained_on = resize_frame(read_image(path), (96, 96))
    assert np.array_equal(NetworkScaler(view)(frame), trained_on)


def test_a_folder_comes_in_natural_order_with_sizes_of_its_own(tmp_path):
    for index, name in enumerate(("2.png", "10.png", "b1.jpg", "b10.jpg", "b9.jpg")):
        write(tmp_path / name, picture(index, (160 + 16 * index, 128)))
    (tmp_path / "notes.txt").write_text("left out")
    (tmp_path / "sub.png").mkdir()
    with open_source(tmp_path) as source:
        assert source.frame_count == 5
        frames = list(source)
    assert [frame.name for frame in frames] == ["2", "10", "b1", "b9", "b10"]
    assert [code_of(frame.to_bgr()) for frame in frames] == [0, 1, 2, 4, 3]
    assert [frame.size[0] for frame in frames] == [160, 176, 192, 224, 208]
    assert [(frame.index, frame.pts) for frame in frames] == [(i, i) for i in range(5)]


def test_images_that_share_a_stem_keep_their_extensions(tmp_path):
    for name in ("a.png", "a.jpg", "b.png"):
        write(tmp_path / name, picture(0))
    assert [frame.name for frame in open_source(tmp_path)] == ["a.jpg", "a.png", "b"]


@pytest.mark.parametrize("extension", ["jpg", "png", "webp"])
def test_drawing_begins_with_the_files_own_luma(tmp_path, extension):
    path = write(tmp_path / f"image.{extension}", picture(5))
    (frame,) = open_source(path)
    assert frame.native.format.name == "yuvj420p"
    assert frame.full_range
    decoded = cv2.cvtColor(cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2YCrCb)
    assert np.abs(frame.luma().astype(int) - decoded[..., 0]).mean() < 0.6


@pytest.fixture
def turned(tmp_path):
    """A JPEG whose EXIF asks for it to be shown turned right (orientation 6)."""
    plain = write(tmp_path / "turned.jpg", picture(5)).read_bytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (tmp_path / "turned.jpg").write_bytes(plain[:2] + segment + plain[2:])
    assert cv2.imread(str(tmp_path / "turned.jpg")).shape == (160, 128, 3)  # OpenCV follows it unless told
    return tmp_path / "turned.jpg"


def test_exif_orientation_is_ignored_as_in_training_and_said(turned, caplog):
    (frame,) = open_source(turned)
    assert "turned.jpg: an EXIF tag asks to show turned.jpg turned (1 of 1 files)" in caplog.text
    assert frame.size == (160, 128)
    assert np.abs(frame.to_bgr().astype(int) - picture(5)).mean() < LOSSY


def test_side_data_that_pyav_does_not_know_hides_no_rotation(turned):
    with av.open(turned) as container:  # EXIF is of such a type
        native = next(container.decode(video=0))
    with pytest.raises(ValueError, match="is not a valid Type"):
        native.side_data  # noqa: B018
    normaliser = FrameNormaliser()
    (upright,) = normaliser(native)
    expected = np.rot90(picture(5), -1)
    assert np.abs(upright.to_ndarray(format="bgr24").astype(int) - expected).mean() < LOSSY


def test_alpha_and_palettes_are_colours(tmp_path):
    bgra = np.dstack([picture(5), np.full((128, 160), 90, np.uint8)])
    (frame,) = open_source(write(tmp_path / "alpha.png", bgra))
    assert np.abs(frame.to_bgr().astype(int) - picture(5)).mean() < LOSSY


def test_a_grey_image_fails(tmp_path):
    path = write(tmp_path / "grey.png", np.full((32, 32), 90, np.uint8))
    with open_source(path) as source, pytest.raises(InputError, match=r"grey\.png: a grey image, but the"):
        list(source)


@pytest.mark.parametrize("name", ["pages.tif", "frames.gif", "frames.webp", "frames.apng", "frames.avif"])
def test_every_page_and_frame_is_an_image(tmp_path, name):
    first, *others = (Image.fromarray(picture(index)[:, :, ::-1]) for index in (1, 2, 5))
    lossless = {} if name.endswith((".tif", ".gif", ".apng")) else {"quality": 95}
    kind = {"format": "PNG"} if name.endswith(".apng") else {}
    first.save(tmp_path / name, save_all=True, append_images=others, **lossless, **kind)
    with open_source(tmp_path / name) as source:
        assert source.frame_count == 3
        frames = list(source)
    stem = name.partition(".")[0]
    assert [frame.name for frame in frames] == [f"{stem}-1", f"{stem}-2", f"{stem}-3"]
    assert [code_of(frame.to_bgr()) for frame in frames] == [1, 2, 5]
    assert [frame.pts for frame in frames] == [0, 1, 2]


def test_a_page_is_not_called_like_another_image(tmp_path):
    first, other = (Image.fromarray(picture(index)[:, :, ::-1]) for index in (1, 2))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[other])
    write(tmp_path / "a-2.png", picture(3))
    with open_source(tmp_path) as source:
        names = [frame.name for frame in source]
    assert sorted(names) == ["a-1", "a-2", "a.tif-2"]


def test_equal_names_in_two_folders_stay_apart(tmp_path):
    for index, name in enumerate(("p1/a.jpg", "p2/a.jpg", "p2/b.PNG", "p2/b.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, picture(index))
    with open_source(tmp_path / "*" / "*") as source:
        frames = list(source)
    assert sorted(frame.name for frame in frames) == ["p1/a", "p2/a", "p2/b.PNG", "p2/b.png"]


def test_no_three_names_fall_together(tmp_path):
    for index, name in enumerate(("a.jpg", "a.png", "a.jpg.png")):
        write(tmp_path / name, picture(index))
    with open_source(tmp_path) as source:
        assert sorted(frame.name for frame in source) == ["a.jpg", "a.jpg.png", "a.png"]


def test_hidden_files_of_operating_systems_are_no_images(tmp_path):
    write(tmp_path / "a.jpg", picture(5))
    for name in ("._a.jpg", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / name).write_bytes(bytes(4096))
    with open_source(tmp_path) as source:
        assert [frame.name for frame in source] == ["a"]


def test_a_picture_of_an_unread_kind_is_named_with_a_remedy(tmp_path):
    (tmp_path / "phone.heic").write_bytes(bytes(100))
    with pytest.raises(
        InputError, match=r"phone\.heic: pictures of the kind \.heic are not read; convert it"
    ):
        open_source(tmp_path / "phone.heic")


BROKEN = [b"", b"no image" * 100, b"\x89PNG\r\n\x1a\n" + bytes(100)]


@pytest.mark.parametrize("data", BROKEN)
def test_a_broken_image_alone_fails(tmp_path, data):
    (tmp_path / "2.png").write_bytes(data)
    with open_source(tmp_path / "2.png") as source, pytest.raises(InputError) as caught:
        list(source)
    assert "2.png: not a readable image" in str(caught.value) or "is cut or broken" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", BROKEN)
def test_a_broken_image_among_others_is_left_out_and_named(tmp_path, data):
    write(tmp_path / "1.png", picture(0))
    (tmp_path / "2.png").write_bytes(data)
    write(tmp_path / "3.png", picture(3))
    with open_source(tmp_path) as source:
        assert [(frame.name, frame.index) for frame in source] == [("1", 0), ("3", 2)]
    (line,) = source.skipped
    assert line.startswith(f"{tmp_path / '2.png'}: ")


def test_an_empty_folder_fails(tmp_path):
    with pytest.raises(InputError, match=r"no image in it \(apng avif bmp .* webp\); give the folder"):
        open_source(tmp_path)
