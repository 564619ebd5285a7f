"""What a recorder, a cable or a hand does to frames: six kinds of harm at three strengths each.

The middle strength is the one that a drop is judged by.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.measure.dataset import Pair
from rtpolyp.measure.evaluation import Degrade

__all__ = ["DEGRADATIONS", "Degradation"]

Image = NDArray[np.uint8]  # (H, W, 3) BGR


@dataclass(frozen=True)
class Degradation:
    """One kind of harm to an image, which keeps its size."""

    name: str
    unit: str  # of the strengths, e.g. "{:g} %"
    strengths: tuple[float, float, float]  # weaker, middle, stronger
    apply: Callable[[Image, float, np.random.Generator], Image]

    def label(self, strength: float) -> str:
        """A strength as a person reads it."""
        return self.unit.format(strength)

    def at(self, strength: float) -> Degrade:
        """What `evaluate_engine` takes. A frame's direction and noise follow from its name alone."""
        return lambda pair, image: self.apply(image, strength, _random(pair))


def motion_blur(image: Image, percent: float, rng: np.random.Generator) -> Image:
    """A straight smear in any direction, as long as `percent` of the shorter side."""
    length = max(1.0, percent / 100 * min(image.shape[:2]))
    angle = rng.uniform(0, np.pi)
    half = int(np.ceil(length / 2))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    line = np.clip(1 - np.abs(across), 0, 1) * np.clip((length + 1) / 2 - np.abs(along), 0, 1)
    return np.asarray(cv2.filter2D(image, -1, line / line.sum(), borderType=cv2.BORDER_REPLICATE), np.uint8)


def noise(image: Image, sigma: float, rng: np.random.Generator) -> Image:
    """Gaussian noise of `sigma` grey levels, on each pixel and channel by itself."""
    return _rounded(image + rng.normal(0, sigma, image.shape))


def jpeg(image: Image, quality: float, rng: np.random.Generator) -> Image:
    """Coded and decoded at a libjpeg quality."""
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def brightness(image: Image, percent: float, rng: np.random.Generator) -> Image:
    """All channels multiplied; what exceeds white is lost."""
    return _rounded(image * (1 + percent / 100))


def hue(image: Image, degrees: float, rng: np.random.Generator) -> Image:
    """Hue turned in HSV: upwards red becomes yellow, downwards magenta."""
    hsv = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2HSV)
    hsv[..., 0] = (hsv[..., 0] + degrees) % 360
    return _rounded(np.asarray(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.float64))


def resolution(image: Image, scale: float, rng: np.random.Generator) -> Image:
    """Shrunk to `scale` of its sides and enlarged again, as scalers on the way do."""
    height, width = image.shape[:2]
    size = max(1, round(scale * width)), max(1, round(scale * height))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


DEGRADATIONS = (
    Degradation("motion blur, length over the shorter side", "{:g} %", (1, 2, 4), motion_blur),
    Degradation("noise, σ in grey levels", "{:g}", (5, 10, 20), noise),
    Degradation("JPEG quality", "{:g}", (60, 30, 15), jpeg),
    Degradation("darker", "{:+g} %", (-15, -30, -45), brightness),
    Degradation("brighter", "{:+g} %", (15, 30, 45), brightness),
    Degradation("hue towards yellow", "{:+g}°", (7.2, 14.4, 28.8), hue),  # 0.02, 0.04, 0.08 of the circle
    Degradation("hue towards magenta", "{:+g}°", (-7.2, -14.4, -28.8), hue),
    Degradation("resolution, of each side", "{:g}", (0.75, 0.5, 0.25), resolution),
)


def _random(pair: Pair) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(pair.name.encode()))


def _rounded(image: NDArray[np.floating]) -> Image:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
