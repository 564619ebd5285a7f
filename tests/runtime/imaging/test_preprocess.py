from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect, make_view
from rtpolyp.imaging.image_file import read_image
from rtpolyp.imaging.mask_file import read_mask
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.spec import EngineSpec

ROUNDING = 1  # grey level


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def spec(width: int, height: int) -> EngineSpec:
    return EngineSpec("n", "n", "e", height, width, threshold=0.5, minimum_area=0, minimum_confidence=0)


def test_shrinking_averages_over_the_area() -> None:
    frame = noise(64, 96)
    blocks = frame.reshape(32, 2, 32, 3, 3).mean(axis=(1, 3))
    resized = resize_frame(frame, spec(32, 32))
    assert resized.shape == (32, 32, 3)
    assert np.abs(resized - blocks).max() <= ROUNDING


def test_an_axis_that_shrinks_is_averaged_even_when_the_other_grows() -> None:
    stripes = np.zeros((20, 128, 3), np.uint8)
    stripes[:, ::2] = 255  # sampling without averaging gives 0 or 255
    resized = resize_frame(stripes, (32, 64))
    assert np.abs(resized.astype(int) - 127.5).max() <= ROUNDING


def test_enlarging_interpolates_between_pixels() -> None:
    frame = np.repeat(np.array([[0, 200]], np.uint8)[..., np.newaxis], 3, axis=2)
    resized = resize_frame(frame, (8, 1))
    assert resized[0, :, 0].tolist() == [0, 0, 25, 75, 125, 175, 200, 200]


def test_the_view_is_cropped_before_it_is_stretched() -> None:
    frame = noise(60, 80)
    crop = Rect(16, 10, 40, 30)
    view = make_view((80, 60), (32, 32), crop)
    expected = resize_frame(frame[10:40, 16:56], (32, 32))
    assert np.array_equal(resize_frame(frame, spec(32, 32), view), expected)


def test_the_result_is_contiguous_without_any_resize() -> None:
    frame = noise(48, 64)
    view = make_view((64, 48), (32, 32), Rect(8, 8, 32, 32))
    resized = resize_frame(frame, (32, 32), view)
    assert resized.flags.c_contiguous
    assert np.array_equal(resized, frame[8:40, 8:40])


def test_the_view_maps_pixels_where_resizing_put_them() -> None:
    frame = np.zeros((200, 300, 3), np.uint8)
    frame[80:100, 150:190] = 255
    view = make_view((300, 200), (64, 96), Rect(30, 20, 240, 160))
    small = resize_frame(frame, (64, 96), view)[..., 0] / 255
    mass = small / small.sum()
    rows, columns = np.mgrid[:96, :64] + 0.5
    centre = np.array([[(mass * columns).sum(), (mass * rows).sum()]], np.float32)
    assert view.to_frame(centre)[0] == pytest.approx((170, 90), abs=0.1)


def test_resizing_with_another_frames_view_fails() -> None:
    view = make_view((64, 48), (32, 32))
    with pytest.raises(InputError, match="frame of 80x60 pixels, but the view is of 64x48"):
        resize_frame(noise(60, 80), (32, 32), view)


def test_resizing_with_another_networks_view_fails() -> None:
    view = make_view((80, 60), (32, 32))
    with pytest.raises(InputError, match="network input of 64x64 pixels, but the view is for 32x32"):
        resize_frame(noise(60, 80), (64, 64), view)


def write(path: Path, pixels: NDArray[np.generic]) -> Path:
    assert cv2.imwrite(str(path), pixels)
    return path


def test_reading_gives_bgr_as_stored(tmp_path: Path) -> None:
    pixels = noise(20, 30)
    assert np.array_equal(read_image(write(tmp_path / "Größe.png", pixels)), pixels)


def test_alpha_is_dropped(tmp_path: Path) -> None:
    pixels = np.dstack([noise(20, 30), np.zeros((20, 30), np.uint8)])
    assert np.array_equal(read_image(write(tmp_path / "a.png", pixels)), pixels[..., :3])


def test_exif_orientation_is_ignored(tmp_path: Path) -> None:
    jpeg = cv2.imencode(".jpg", noise(20, 30))[1].tobytes()
    tiff = b"MM\0*\0\0\0\x08" + b"\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + b"\0\0\0\0"  # turn by 90°
    exif = b"Exif\0\0" + tiff
    rotated = tmp_path / "rotated.jpg"
    rotated.write_bytes(jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:])
    assert cv2.imread(str(rotated)).shape == (30, 20, 3)  # the tag is one that OpenCV obeys by default
    assert read_image(rotated).shape == (20, 30, 3)


def test_masks_are_cut_between_127_and_128(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    mask = read_mask(write(tmp_path / "m.png", grey))
    assert mask.dtype == np.bool_
    assert np.array_equal(mask, grey >= 128)


def test_reading_a_missing_file_fails(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.png: no such file"):
        read_image(tmp_path / "none.png")


def test_reading_a_folder_fails(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_image(tmp_path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_reading_half_a_file_fails(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, noise(200, 200))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"not a readable image \(\d+ bytes\)"):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"not an image"])
def test_reading_no_image_fails(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a readable image"):
        read_mask(path)


def test_reading_16_bits_fails(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", noise(20, 30).astype(np.uint16) * 257)
    with pytest.raises(InputError, match="16 bits a channel; convert it to 8 bits"):
        read_image(path)


def test_reading_grey_fails(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", noise(20, 30)[..., 0])
    with pytest.raises(InputError, match="a grey image"):
        read_image(path)
