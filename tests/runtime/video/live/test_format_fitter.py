"""FormatFitter: frames of another size or colour in the format of the stream."""

import dataclasses
from fractions import Fraction

import cv2
import numpy as np
import pytest

from rtpolyp.video.colour import Colour
from rtpolyp.video.live.format_fitter import FormatFitter
from rtpolyp.video.stream_format import StreamFormat
from tests.runtime.clips import frame_of, picture

COLOUR = Colour(matrix=6, range=1)
FORMAT = StreamFormat((160, 128), "yuv420p", COLOUR, Fraction(1, 25), Fraction(25), None)


def native(size=(160, 128), **traits):
    """The same picture in another size."""
    bgr = cv2.resize(picture(5), size, interpolation=cv2.INTER_AREA)
    return frame_of(bgr, matrix=traits.pop("matrix", 6), **traits).native


def bgr(fitted):
    return dataclasses.replace(frame_of(picture(5)), native=fitted).to_bgr().astype(int)


def test_a_frame_that_fits_is_the_same_object():
    frame = native()
    assert FormatFitter(FORMAT)(frame) is frame


@pytest.mark.parametrize(
    "other",
    [
        native((320, 256)),
        native((80, 64)),
        native(full=True),
        native((320, 256), encoded_as="ITU709", matrix=1),
    ],
)
def test_a_picture_of_the_same_shape_looks_the_same(other):
    other.pts, other.time_base, other.duration = 77, Fraction(1, 90_000), 3
    fitted = FormatFitter(FORMAT)(other)
    assert (fitted.width, fitted.height, fitted.format.name) == (160, 128, "yuv420p")
    assert Colour.of(fitted) == COLOUR
    assert (fitted.pts, fitted.time_base, fitted.duration) == (77, Fraction(1, 90_000), 3)
    difference = np.abs(bgr(fitted) - picture(5))[32:]  # below the code, whose edges scale differently
    assert difference.mean() < 3.0


def test_a_wider_picture_gets_borders():
    fitted = FormatFitter(FORMAT)(native((320, 128)))
    pixels = bgr(fitted)
    assert pixels[:30].max() < 8
    assert pixels[98:].max() < 8
    assert pixels[34:94].mean() > 50


def test_it_follows_every_change():
    fit = FormatFitter(FORMAT)
    sizes = [(320, 256), (160, 128), (80, 64), (320, 256)]
    assert {(fitted.width, fitted.height) for fitted in (fit(native(size)) for size in sizes)} == {(160, 128)}
