"""Masks in several colours are told apart, and said."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from rtpolyp.errors import InputError
from rtpolyp.imaging.mask_file import read_mask
from rtpolyp.measure.mask_check import check_masks, classes_in, say_classes

RED, GREEN = (255, 0, 0), (0, 255, 0)


def mask(path: Path, *colours: tuple[int, int, int]) -> Path:
    """Squares of `colours` on black."""
    pixels = np.zeros((60, 90, 3), np.uint8)
    for index, colour in enumerate(colours):
        pixels[10:30, 10 + 25 * index : 30 + 25 * index] = colour
    Image.fromarray(pixels).save(path)
    return path


def palette(path: Path) -> Path:
    image = Image.open(mask(path, RED, GREEN)).quantize(4)
    image.save(path)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_each_colour_is_a_class(tmp_path, suffix):
    assert classes_in(mask(tmp_path / f"a{suffix}", RED, GREEN)) == ["red", "green"]
    assert classes_in(palette(tmp_path / f"b{suffix}")) == ["red", "green"]
    assert classes_in(mask(tmp_path / f"c{suffix}", (255, 255, 255))) == []


def test_a_few_pixels_of_a_colour_are_none(tmp_path):
    path = mask(tmp_path / "a.png", RED)
    pixels = np.array(Image.open(path).resize((900, 600), Image.Resampling.NEAREST))
    pixels[500, 500:520] = GREEN
    Image.fromarray(pixels).save(path)
    assert classes_in(path) == ["red"]


def test_several_classes_are_said_once_and_one_is_not(caplog):
    assert say_classes(["red", "red"]) == ["red"]
    assert not caplog.records
    assert say_classes(["red", "green", "red"]) == ["green", "red"]
    (record,) = caplog.records
    assert record.getMessage().startswith("masks in green and red: each colour may be a class, and all are")


def disc(path: Path, *, inverted: bool = False, filled: bool = True) -> Path:
    pixels = cv2.circle(np.zeros((60, 90), np.uint8), (45, 30), 20, 255, -1 if filled else 2)
    Image.fromarray(255 - pixels if inverted else pixels).save(path)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_inverted_masks_and_outlines_are_said_by_name(tmp_path, suffix, caplog):
    good = disc(tmp_path / f"good{suffix}")
    inverted = disc(tmp_path / f"inverted{suffix}", inverted=True)
    outline = disc(tmp_path / f"outline{suffix}", filled=False)
    assert check_masks([good]) == {}
    assert not caplog.records
    assert check_masks([good, inverted, outline]) == {"inverted": [inverted.name], "outline": [outline.name]}
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == (
        f"masks that cover nearly all of the picture or of its rim, inverted? (1): {inverted.name}"
    )
    assert "outlines that were not filled? (1)" in said[1]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_value_of_16_bits_that_would_vanish_is_refused(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    pixels = np.zeros((60, 90), np.uint16)
    pixels[10:30, 10:30] = 256
    assert cv2.imwrite(str(path), pixels)
    with pytest.raises(InputError, match="values 0, 256 of 65535; write 255"):
        read_mask(path)
