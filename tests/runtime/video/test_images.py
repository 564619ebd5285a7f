"""Images and folders of images as sources."""

import av
import cv2
import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import make_view
from rtpolyp.imaging.preprocess import read_image, resize_frame
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
@pytest.mark.parametrize("extension", ["jpg", "png"])
def test_the_network_sees_what_it_was_trained_on(tmp_path, extension, size):
    path = write(tmp_path / f"image.{extension}", picture(5, size))
    (frame,) = open_source(path)
    view = make_view(frame.size, (96, 96))
    trained_on = resize_frame(read_image(path), (96, 96))
    assert np.abs(NetworkScaler(view)(frame).astype(int) - trained_on).mean() < 1.0


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


def test_a_jpeg_keeps_its_samples(tmp_path):
    path = write(tmp_path / "image.jpg", picture(5), cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x411111)
    (frame,) = open_source(path)
    assert frame.native.format.name == "yuvj420p"
    assert frame.full_range
    (frame,) = open_source(write(tmp_path / "image.jpg", picture(5)))  # 4:2:0: nothing was converted
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


def test_exif_orientation_is_ignored_as_in_training(turned):
    (frame,) = open_source(turned)
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


@pytest.mark.parametrize(
    ("name", "pixels", "found"),
    [
        (
            "grey.png",
            np.full((32, 32), 90, np.uint8),
            r"grey \(gray\), and the network needs colour; give the",
        ),
        ("grey.jpg", np.full((32, 32), 90, np.uint8), r"grey \(gray\)"),
        ("grey16.png", np.full((32, 32), 900, np.uint16), r"grey \(gray16be\)"),
        (
            "deep.png",
            np.full((32, 32, 3), 900, np.uint16),
            r"more than 8 bits a channel \(rgb48be\); convert",
        ),
        ("deep.tif", np.full((32, 32, 3), 900, np.uint16), r"more than 8 bits a channel \(rgb48le\)"),
    ],
)
def test_grey_and_deep_images_fail(tmp_path, name, pixels, found):
    path = write(tmp_path / name, pixels)
    with open_source(path) as source, pytest.raises(InputError, match=f"{name}: {found}"):
        list(source)


@pytest.mark.parametrize("data", [b"", b"no image" * 100, b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_a_broken_image_fails_after_those_before_it(tmp_path, data):
    write(tmp_path / "1.png", picture(0))
    (tmp_path / "2.png").write_bytes(data)
    frames = []
    with open_source(tmp_path) as source, pytest.raises(InputError, match=r"2\.png: not an image") as caught:
        frames.extend(source)  # keeps what came before the error
    assert [frame.name for frame in frames] == ["1"]
    assert "\n" not in str(caught.value)


def test_an_empty_folder_fails(tmp_path):
    with pytest.raises(
        InputError, match=r"no image in it \(bmp jpeg jpg png tif tiff webp\); give the folder"
    ):
        open_source(tmp_path)
