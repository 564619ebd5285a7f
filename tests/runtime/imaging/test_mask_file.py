"""Every kind of mask file that is understood, and those that could be read in two ways."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from rtpolyp.errors import InputError
from rtpolyp.imaging.mask_file import read_mask, read_mask_file


def write(path, pixels):
    assert cv2.imwrite(str(path), pixels)
    return path


POLYP = np.zeros((96, 120), bool)
POLYP[(np.hypot(*(np.mgrid[:96, :120] - np.array([48, 60])[:, None, None])) < 14.5)] = True
RED, GREEN, ORANGE, WHITE = (0, 0, 255), (0, 200, 0), (0, 60, 255), (255, 255, 255)  # BGR


def coloured(*colours):
    """The disc in vertical bands of these colours on black."""
    pixels = np.zeros((*POLYP.shape, 3), np.uint8)
    for band, colour in zip(np.array_split(np.arange(45, 76), len(colours)), colours, strict=True):
        pixels[:, band] = colour
    return pixels * POLYP[:, :, None]


def with_alpha(colours, alpha):
    return np.dstack([colours, alpha.astype(np.uint8) * 255])


GREY = POLYP.astype(np.uint8)
LOSSLESS = {
    "0 and 1": (GREY, "0 and 1"),
    "0 and 255": (GREY * 255, "0 and 255"),
    "0 and 255 in three channels": (np.dstack([GREY * 255] * 3), "0 and 255"),
    "1 in the red channel only": (np.dstack([GREY * 0, GREY * 0, GREY]), "0 and 1"),
    "0 and 255 in 16 bits": (GREY.astype(np.uint16) * 255, "0 and 255"),
    "0 and 65535": (GREY.astype(np.uint16) * 65535, "0 and 255"),
    "one colour": (coloured(RED), "colours"),
    "a dark palette colour": (coloured((0, 0, 128)), "colours"),
    "two colours": (coloured(RED, GREEN), "colours"),
    "colour and white": (coloured(RED, WHITE), "colours"),
    "white on transparency": (with_alpha(coloured(WHITE), POLYP), "0 and 255"),
    "colour on transparency": (with_alpha(np.full((*POLYP.shape, 3), RED, np.uint8), POLYP), "colours"),
    "black on transparency": (with_alpha(coloured(RED) * 0, POLYP), "alpha"),
    "white, wholly opaque": (with_alpha(coloured(WHITE), POLYP | True), "0 and 255"),
}


@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_lossless_masks_are_read_to_the_pixel(name, suffix, tmp_path):
    pixels, kind = LOSSLESS[name]
    reading = read_mask_file(write(tmp_path / f"mask{suffix}", pixels))
    np.testing.assert_array_equal(reading.polyp, POLYP)
    assert reading.kind == kind
    assert not reading.half_tones


def png_with_palette(rows: bytes) -> bytes:
    """2×2 pixels of the palette black, (128, 0, 0); OpenCV cannot write one."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, 2, 8, 3, 0, 0, 0)
    palette = bytes([0, 0, 0, 128, 0, 0])
    body = chunk(b"IHDR", header) + chunk(b"PLTE", palette) + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def test_a_palette_is_read_by_its_colours(tmp_path):
    """As VOC's tools write: label 1 is (128, 0, 0)."""
    (tmp_path / "mask.png").write_bytes(
        png_with_palette(bytes([0, 0, 1, 0, 1, 0]))
    )  # each row: filter, pixels
    reading = read_mask_file(tmp_path / "mask.png")
    assert reading.polyp.tolist() == [[False, True], [True, False]]
    assert reading.classes == {"red": 2}


def test_a_jpeg_has_grey_rims_and_the_same_area(tmp_path):
    reading = read_mask_file(write(tmp_path / "mask.jpg", GREY * 255))
    assert reading.kind == "grey rim"
    assert not reading.half_tones
    assert np.count_nonzero(reading.polyp != POLYP) <= 0.01 * POLYP.sum()


def test_a_coloured_jpeg_keeps_its_classes(tmp_path):
    """BKAI-IGH NeoPolyp's masks: red and green on black, in JPEG."""
    path = write(tmp_path / "mask.jpeg", coloured(RED, GREEN))
    reading = read_mask_file(path)
    assert np.count_nonzero(reading.polyp != POLYP) <= 0.1 * POLYP.sum()
    assert sorted(reading.classes, key=reading.classes.get)[-2:] in (["red", "green"], ["green", "red"])
    green = read_mask_file(path, {"green"}).polyp
    assert green[:, :58].sum() < 20 < green[:, 62:].sum()


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_black_mask_is_empty(suffix, tmp_path):
    noise = np.random.default_rng(0).integers(0, 9, POLYP.shape).astype(np.uint8) * (suffix == ".jpg")
    reading = read_mask_file(write(tmp_path / f"mask{suffix}", noise))
    assert not reading.polyp.any()
    assert reading.kind == "empty"


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        *((RED, "red"), (ORANGE, "red"), (GREEN, "green"), (WHITE, "white"), ((255, 0, 0), "blue")),
        *(((0, 255, 255), "yellow"), ((255, 255, 0), "cyan"), ((255, 0, 255), "magenta")),
    ],
)
def test_colours_are_named_and_can_be_chosen(colour, name, tmp_path):
    other = "blue" if name != "blue" else "red"
    path = write(tmp_path / "mask.png", coloured(colour, (255, 0, 0) if other == "blue" else RED))
    assert set(read_mask_file(path).classes) == {name, other}
    chosen = read_mask_file(path, {name})
    assert chosen.polyp.sum() == chosen.classes[name] < POLYP.sum()


def test_white_is_not_polyp_where_another_colour_is_chosen(tmp_path):
    reading = read_mask_file(write(tmp_path / "mask.png", GREY * 255), {"red"})
    assert not reading.polyp.any()
    assert reading.classes == {"white": POLYP.sum()}


def picture(channels):
    """Folds of mucosa in grey or colour, with the texture that a camera sees."""
    rng = np.random.default_rng(0)
    folds = cv2.resize(
        rng.uniform(0, 1, (6, 8)).astype(np.float32), POLYP.shape[::-1], interpolation=cv2.INTER_CUBIC
    )
    red = 90 + 140 * folds + rng.normal(0, 6, POLYP.shape)
    return (red[:, :, None] * np.array([0.35, 0.45, 1.0])[-channels:]).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_a_picture_in_place_of_a_mask_fails(tmp_path, channels, suffix):
    path = write(tmp_path / f"mask{suffix}", picture(channels))
    with pytest.raises(InputError, match=r"mask\..*: a picture or a probability map, no mask"):
        read_mask_file(path)


def test_a_probability_map_in_place_of_a_mask_fails(tmp_path):
    distance = np.hypot(*(np.mgrid[:96, :120] - np.array([48, 60])[:, None, None]))
    smooth = (255 * np.exp(-((distance / 25) ** 2))).astype(np.uint8)
    with pytest.raises(InputError, match="a picture or a probability map"):
        read_mask_file(write(tmp_path / "mask.png", smooth))


@pytest.mark.parametrize("levels", [(128, 255), (85, 170, 255), (1, 255), (60, 200)])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_several_greys_that_fill_areas_fail(tmp_path, levels, suffix):
    if suffix == ".jpg" and 1 in levels:
        pytest.skip("JPEG moves 0 to 1")
    pixels = np.zeros(POLYP.shape, np.uint8)
    for index, level in enumerate(levels):
        pixels[10 + 25 * index : 30 + 25 * index, 20:90] = level
    with pytest.raises(InputError, match="fill areas, and only one can be polyp"):
        read_mask_file(write(tmp_path / f"mask{suffix}", pixels))


@pytest.mark.parametrize("quality", [30, 60, 90])
@pytest.mark.parametrize("radius", [3, 8, 30])
def test_the_edges_of_a_jpeg_are_no_classes(tmp_path, quality, radius):
    mask = np.zeros((200, 240), np.uint8)
    cv2.circle(mask, (120, 100), radius, 255, -1)
    (tmp_path / "mask.jpg").write_bytes(cv2.imencode(".jpg", mask, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
    reading = read_mask_file(tmp_path / "mask.jpg")
    assert np.count_nonzero(reading.polyp != (mask > 0)) <= 0.15 * np.count_nonzero(mask)


@pytest.mark.parametrize("interpolation", [cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC])
@pytest.mark.parametrize("factor", [0.4, 1.7])
def test_soft_edges_of_a_resized_mask_are_no_classes(tmp_path, interpolation, factor):
    resized = cv2.resize(GREY * 255, None, fx=factor, fy=factor, interpolation=interpolation)
    reading = read_mask_file(write(tmp_path / "mask.png", resized))
    assert reading.polyp.sum() == pytest.approx(POLYP.sum() * factor**2, rel=0.1)


def test_a_background_that_is_not_black_fails(tmp_path):
    pixels = np.where(POLYP[:, :, None], np.array(RED, np.uint8), np.uint8(255))
    with pytest.raises(InputError, match=r"mask\.png: the background is white; write black where"):
        read_mask_file(write(tmp_path / "mask.png", pixels))


def test_a_half_transparent_overlay_is_a_mask(tmp_path):
    pixels = np.dstack([np.full((*POLYP.shape, 3), GREEN, np.uint8), POLYP.astype(np.uint8) * 90])
    np.testing.assert_array_equal(read_mask_file(write(tmp_path / "mask.png", pixels)).polyp, POLYP)


def test_full_transparency_over_colours_fails(tmp_path):
    pixels = np.dstack([coloured(WHITE), np.zeros(POLYP.shape, np.uint8)])
    with pytest.raises(InputError, match="wholly transparent over colours"):
        read_mask_file(write(tmp_path / "mask.png", pixels))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "I;16", "I"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".gif", ".webp"])
def test_every_pixel_format_of_a_container_gives_the_same_mask(tmp_path, mode, suffix):
    readable = {".gif": ("1", "L", "P"), ".webp": ("L", "LA", "RGB")}
    if mode not in readable.get(suffix, (mode,)) or (mode, suffix) in (("P", ".tif"), ("I", ".png")):
        pytest.skip("the container has no such pixels")
    grey = Image.fromarray(GREY * 255)
    image = Image.fromarray(GREY.astype(np.uint16) * 65535) if mode == "I;16" else grey.convert(mode)
    if mode == "LA":
        image.putalpha(255)
    image.save(tmp_path / f"mask{suffix}", **({"lossless": True} if suffix == ".webp" else {}))
    np.testing.assert_array_equal(read_mask(tmp_path / f"mask{suffix}"), POLYP)


def test_a_mask_of_two_pages_fails(tmp_path):
    page = Image.fromarray(GREY * 255)
    page.save(tmp_path / "mask.tif", save_all=True, append_images=[page])
    with pytest.raises(InputError, match=r"mask\.tif: holds 2 pictures"):
        read_mask_file(tmp_path / "mask.tif")


@pytest.mark.parametrize("labels", [(0, 1, 2), (0, 100), (1, 2), (0, 38, 75)])
def test_labels_below_the_threshold_fail_naming_them(labels, tmp_path):
    pixels = np.resize(np.array(labels, np.uint8), POLYP.shape)
    with pytest.raises(InputError, match=rf"mask\.png: values {', '.join(map(str, labels))}, none above 127"):
        read_mask_file(write(tmp_path / "mask.png", pixels))


def test_floating_point_fails(tmp_path):
    with pytest.raises(InputError, match=r"mask\.tif: pixels of type float32; export the mask with 8 bits"):
        read_mask_file(write(tmp_path / "mask.tif", POLYP.astype(np.float32)))


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_a_broken_mask_fails_naming_it(content, tmp_path):
    (tmp_path / "mask.png").write_bytes(content)
    with pytest.raises(InputError, match=r"mask\.png: (not a readable image|is cut or broken)"):
        read_mask_file(tmp_path / "mask.png")


def test_half_a_file_fails(tmp_path):
    ok, encoded = cv2.imencode(
        ".png", np.random.default_rng(0).integers(0, 255, POLYP.shape).astype(np.uint8)
    )
    assert ok
    (tmp_path / "mask.png").write_bytes(encoded.tobytes()[: len(encoded) // 2])
    with pytest.raises(InputError, match=r"mask\.png: (not a readable image|is cut or broken)"):
        read_mask_file(tmp_path / "mask.png")


def test_a_palette_that_shows_polyps_in_black_is_refused(tmp_path):
    image = Image.fromarray(np.eye(20, dtype=np.uint8), "P")
    image.putpalette([0] * 768)
    image.save(tmp_path / "a.png")
    with pytest.raises(InputError, match="its palette shows every value in black; write 255"):
        read_mask(tmp_path / "a.png")
    Image.fromarray(np.zeros((20, 20), np.uint8), "P").save(tmp_path / "b.png")
    assert not read_mask(tmp_path / "b.png").any()
