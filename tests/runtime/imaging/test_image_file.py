"""Every kind of picture that people have, read or refused in one line."""

import io
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from rtpolyp.errors import InputError
from rtpolyp.imaging.image_file import is_turned, read_image, read_pages, read_pixels

LOSSY = 4.0  # levels, mean: JPEG and its like at quality 95
SIZE = (90, 60)


def colours() -> np.ndarray:
    """`(60, 90, 3) uint8 RGB`: ramps that no codec finds hard, and no two channels alike."""
    x, y = np.meshgrid(np.linspace(0, 1, SIZE[0]), np.linspace(0, 1, SIZE[1]))
    return np.stack([150 + 90 * y, 60 + 80 * x, 40 + 60 * y], axis=-1).astype(np.uint8)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, image: Image.Image | None = None, **options: object) -> Path:
    (image or Image.fromarray(colours())).save(path, **options)
    return path


def write(path: Path, pixels: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), pixels)
    return path


LOSSLESS = {
    "a.png": {},
    "a.bmp": {},
    "a.ppm": {},
    "a.tif": {},
    "lzw.tiff": {"compression": "tiff_lzw"},
    "deflate.tif": {"compression": "tiff_adobe_deflate"},
    "a.webp": {"lossless": True},
    "a.jp2": {},
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_files_are_read_to_the_pixel(tmp_path, name):
    path = save(tmp_path / name, **LOSSLESS[name])
    np.testing.assert_array_equal(read_image(path)[:, :, ::-1], colours())


LOSSY_FILES = {
    "a.jpg": {"quality": 95},
    "progressive.jpg": {"quality": 95, "progressive": True},
    "jpeg.tif": {"compression": "jpeg", "quality": 95},
    "a.webp": {"quality": 95},
    "a.avif": {"quality": 95},
    "a.jp2": {"quality_mode": "rates", "quality_layers": [10]},
}


@pytest.mark.parametrize("name", LOSSY_FILES)
def test_lossy_files_are_read_in_colour(tmp_path, name):
    """A TIFF with JPEG compression is one that libav reads as black."""
    path = save(tmp_path / name, **LOSSY_FILES[name])
    assert np.abs(read_image(path)[:, :, ::-1].astype(int) - colours()).mean() < LOSSY


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "P", "RGBA"])
@pytest.mark.parametrize("suffix", [".tif", ".jpg", ".png"])
def test_other_colour_models_become_bgr(tmp_path, mode, suffix):
    writable = {".jpg": ("CMYK", "YCbCr"), ".png": ("P", "RGBA"), ".tif": ("CMYK", "YCbCr", "P", "RGBA")}
    if mode not in writable[suffix]:
        pytest.skip("the container has no such pixels")
    image = Image.fromarray(colours())
    image = image.quantize(256) if mode == "P" else image.convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.fromarray((colours()[:, :, 0] > 190).astype(np.uint8) * 255))
    read = read_image(save(tmp_path / f"a{suffix}", image))
    assert read.shape == (SIZE[1], SIZE[0], 3)
    assert np.abs(read[:, :, ::-1].astype(int) - colours()).mean() < LOSSY


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_a_channel_are_scaled_to_8(tmp_path, suffix):
    pixels = noise(20, 30)
    path = write(tmp_path / f"a{suffix}", pixels.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(path), pixels)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_of_which_few_are_used_fail(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", noise(20, 30).astype(np.uint16))
    with pytest.raises(InputError, match="16 bits a channel, but no value above 255 of 65535"):
        read_image(path)


def test_reading_gives_bgr_as_stored(tmp_path):
    pixels = noise(20, 30)
    assert np.array_equal(read_image(write(tmp_path / "Größe.png", pixels)), pixels)


def test_alpha_is_dropped(tmp_path):
    pixels = np.dstack([noise(20, 30), np.zeros((20, 30), np.uint8)])
    assert np.array_equal(read_image(write(tmp_path / "a.png", pixels)), pixels[..., :3])


def test_the_content_decides_not_the_extension(tmp_path):
    path = save(tmp_path / "a.jpg", format="PNG")
    np.testing.assert_array_equal(read_image(path)[:, :, ::-1], colours())


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_exif_orientation_is_ignored_and_known(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / f"a{suffix}", exif=exif)
    assert read_image(path).shape == (SIZE[1], SIZE[0], 3)
    assert is_turned(path)
    assert not is_turned(save(tmp_path / f"b{suffix}"))


@pytest.mark.parametrize("mode", ["L", "1", "LA", "I;16"])
def test_grey_fails(tmp_path, mode):
    path = save(tmp_path / "a.png", Image.new(mode, SIZE))
    with pytest.raises(InputError, match=r"a\.png: a grey image"):
        read_image(path)


def test_several_pages_are_given_one_by_one_and_not_as_one_image(tmp_path):
    first = Image.fromarray(colours())
    others = [first.transpose(Image.Transpose.FLIP_LEFT_RIGHT), first.resize((30, 20))]
    path = save(tmp_path / "a.tif", first, save_all=True, append_images=others)
    assert [page.shape[:2] for page in read_pages(path)] == [(60, 90), (60, 90), (20, 30)]
    with pytest.raises(InputError, match=r"a\.tif: holds 3 pictures; save each as a file of its own"):
        read_image(path)


def test_deep_pages_are_each_their_own(tmp_path):
    deep = [noise(20, 30).astype(np.uint16) * 257, np.flip(noise(20, 30)).astype(np.uint16) * 257]
    assert cv2.imwritemulti(str(tmp_path / "a.tif"), deep)
    pages = list(read_pages(tmp_path / "a.tif"))
    for page, pixels in zip(pages, deep, strict=True):
        np.testing.assert_array_equal(page, pixels // 257)


def test_a_thumbnail_is_no_page(tmp_path):
    thumbnail = Image.fromarray(colours()).resize((9, 6))
    tags = ImageFileDirectory_v2()
    tags[254] = 1  # NewSubfileType: a reduced version of another page
    thumbnail.encoderinfo = {"tiffinfo": tags}
    path = save(tmp_path / "a.tif", save_all=True, append_images=[thumbnail])
    assert read_image(path).shape == (60, 90, 3)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.jpg", {}),
        ("a.jpg", {"progressive": True}),
        ("a.tif", {"compression": "jpeg"}),
        ("a.tif", {}),
        ("a.webp", {}),
        ("a.bmp", {}),
        ("a.gif", {}),
        ("a.avif", {}),
        ("a.jp2", {}),
    ],
)
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_file_that_was_cut_fails(tmp_path, name, options, share):
    path = save(tmp_path / name, Image.fromarray(noise(200, 200)), **options)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match=r"not a readable image|is cut or broken") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_a_jpeg_without_its_end_mark_fails(tmp_path):
    path = save(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(InputError, match="is cut or broken"):
        read_image(path)


@pytest.mark.parametrize("missing", [1, 12, 16, 20])
def test_a_png_without_its_last_bytes_fails(tmp_path, missing):
    path = save(tmp_path / "a.png")
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(InputError, match="is cut or broken"):
        read_image(path)


def test_a_png_with_something_after_its_end_is_read(tmp_path):
    path = save(tmp_path / "a.png")
    path.write_bytes(path.read_bytes() + b"what a camera adds")
    np.testing.assert_array_equal(read_image(path)[:, :, ::-1], colours())


def test_a_png_with_a_wrong_checksum_fails(tmp_path):
    path = save(tmp_path / "a.png", Image.fromarray(noise(50, 50)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"not a readable image|is cut or broken"):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"not an image", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_reading_no_image_fails(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"not a readable image \({len(content)} bytes\)"):
        read_image(path)


def test_reading_a_missing_file_fails(tmp_path):
    with pytest.raises(InputError, match=r"none\.png: no such file"):
        read_image(tmp_path / "none.png")


def test_reading_a_folder_fails(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_image(tmp_path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.gif"])
def test_a_picture_that_declares_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, name):
    path = save(tmp_path / name)
    path.write_bytes(path.read_bytes()[:-40])  # decoding would say that it was cut
    with pytest.raises(InputError, match=r"declares 90x60 pixels, and 5,399 are allowed"):
        read_image(path, max_pixels=5399)


def test_a_bomb_is_refused_by_its_header(tmp_path):
    """A PNG of 30000 x 30000 pixels that is 100 bytes long."""
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[16:24] = (30_000).to_bytes(4, "big") * 2
    header = content[12:29]
    content[29:33] = zlib.crc32(header).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(content)
    with pytest.raises(InputError, match=r"bomb\.png: declares"):
        read_image(tmp_path / "bomb.png")


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_jpeg_that_was_cut_and_closed_again_is_an_error(tmp_path, progressive, mode, share):
    path = save(tmp_path / "a.jpg", Image.fromarray(noise(60, 90)).convert(mode), progressive=progressive)
    read_pixels(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))] + b"\xff\xd9")
    with pytest.raises(InputError, match=r"a\.jpg: is cut or broken .*; copy or export"):
        read_pixels(path)


def test_a_jpeg_whose_last_pixel_is_grey_is_whole(tmp_path):
    path = save(tmp_path / "a.jpg", Image.new("RGB", SIZE, (128, 128, 128)))
    assert (read_image(path) == 128).all()
    path.write_bytes(path.read_bytes() + b"what a camera appends")
    assert (read_image(path) == 128).all()
