"""The phantom's endoscope: what a camera inside the colon sees, and where the polyps are in its picture.

Around the camera's axis each angle is a plane of its own, in which the wall is a curve `radius(depth)`. What
is visible in it is a running minimum of the viewing angle over the depth, so no ray has to be traced.
Colours are computed on a polar grid (viewing angle by angle around the axis) and warped to the frame once.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import Rect
from rtpolyp.phantom.colon import LENGTH, SURFACE, TEXTURE, Colon

__all__ = ["Camera"]

ANGLES, DEPTHS, FIELDS = 1024, 384, 512  # grid: around the axis, along it, and by viewing angle
WIDEST = 1.5  # radians off the axis that the polar grid reaches
NEAREST, FARTHEST = 0.015, 6.0  # radii
FOV = np.deg2rad(110)  # across the picture's width
CLOSING = 2.0, 3.8  # radii ahead between which the lumen closes down to FAR_LUMEN, as a collapsed colon does
FAR_LUMEN = 0.12
EXPOSURE = 1.15  # luma in [0, 1] of mucosa that faces the lamp at no distance
GLINT_FROM = (
    1.42  # wet mucosa mirrors the lamp where cosine of incidence + GLINT_SPREAD * wetness exceeds this
)
GLINT_SPREAD = 0.0026
GLINT_GAIN = 12.0  # how sharply a glint rises
GLINT_REACH = 1.6  # a glint fades with the lamp: it is white where this times the wall's light reaches 1
GRAIN = 2.5  # grey levels, standard deviation of the sensor's noise
GRAIN_ZERO = 16  # the grain's uint8 that stands for no change
GRAIN_SHIFT = 64  # pixels by which the grain jumps about, so that no two frames share it

# Mean colour (B, G, R) of 200 Kvasir-SEG frames at luma 24, 40, … 248; black at 0.
TONES = np.array([
    (0, 0, 0), (14, 22, 48), (20, 31, 67), (29, 44, 90), (38, 58, 113), (48, 71, 137), (59, 84, 161),
    (70, 98, 182), (80, 111, 205), (91, 128, 222), (106, 146, 234), (124, 166, 240), (147, 188, 242),
    (173, 210, 243), (202, 231, 244), (240, 250, 251),
])  # fmt: skip

Layer = NDArray[np.float32]


class Camera:
    """An endoscope camera with an octagonal picture in a black frame of `size` (width, height)."""

    def __init__(self, size: tuple[int, int], rng: np.random.Generator) -> None:
        width, height = size
        self.size = size
        self.picture = Rect(
            round(0.21 * width), round(0.03 * height), round(0.77 * width), round(0.94 * height)
        )
        self.margin = round(0.2 * self.picture.width)  # pixels by which the gaze may leave the axis
        self.depth = np.geomspace(NEAREST + 0.25, FARTHEST + 0.25, DEPTHS, dtype=np.float32) - np.float32(
            0.25
        )
        self._around = (np.arange(ANGLES, dtype=np.float32) * (2 * np.pi / ANGLES))[:, np.newaxis]
        self._rows = np.repeat(np.arange(ANGLES, dtype=np.float32)[:, np.newaxis], FIELDS, axis=1)
        near, far = CLOSING
        closing = np.clip((self.depth - near) / (far - near), 0, 1)
        self._closing = 1 - (1 - FAR_LUMEN) * closing**2 * (3 - 2 * closing)
        self._closing_slope = np.gradient(self._closing, self.depth).astype(np.float32)
        self._tones = _tones()
        self._warp = self._make_warp()
        self._inside = self._make_inside()
        self._rng = rng
        grain = rng.standard_normal((height + GRAIN_SHIFT, width + GRAIN_SHIFT, 4), np.float32)
        self._grain = np.asarray(cv2.convertScaleAbs(grain, alpha=GRAIN, beta=GRAIN_ZERO), np.uint8)
        self._grain[..., 3] = GRAIN_ZERO  # the mask has none

    def render(
        self,
        colon: Colon,
        place: float,
        roll: float,
        bend: Layer,
        gaze: tuple[float, float],
        horizon: float,
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The view from `place` (radii along the colon) and the mask of the polyps in it.

        `roll` turns the camera in radians; `bend: (2, DEPTHS) float32` shifts the lumen sideways at each
        depth, in radii; `gaze` turns the camera off the axis, x and y in [-1, 1]; what lies `horizon` radii
        ahead or farther does not count as polyp. Returns `(H, W, 3) uint8 BGR` and `(H, W) bool`.
        """
        wall, by_angle, by_place, polyp = self._look_up_surface(colon, place, roll)
        cos, sin = np.cos(self._around), np.sin(self._around)
        bend = bend * self._closing
        slope = np.gradient(bend, self.depth, axis=1).astype(np.float32)
        by_place = by_place * self._closing + wall * self._closing_slope + slope[0] * cos + slope[1] * sin
        wall = np.maximum(wall * self._closing + bend[0] * cos + bend[1] * sin, np.float32(0.02))
        light, facing = self._shade(wall, by_angle, by_place)

        index = _first_visible(np.arctan2(wall, self.depth) * np.float32(FIELDS / WIDEST) - np.float32(0.5))
        depth = np.broadcast_to(self.depth, wall.shape)
        layers = cv2.merge([light, facing, polyp * (self.depth < horizon), depth])
        layers = cv2.remap(layers, index, self._rows, cv2.INTER_LINEAR)
        light, facing, polyp, depth = (np.asarray(layer, np.float32) for layer in cv2.split(layers))
        texture = self._look_up_texture(colon, place, roll, depth)
        colour = self._colour(light, facing, texture)
        polar = np.asarray(cv2.merge([colour, cv2.convertScaleAbs(polyp, alpha=255)]), np.uint8)
        return self._project(polar, gaze)

    def _look_up_surface(self, colon: Colon, place: float, roll: float) -> tuple[Layer, Layer, Layer, Layer]:
        """The colon's four surface layers on the camera's grid, `(ANGLES, DEPTHS) float32` each."""
        rows = (self._around + np.float32(roll)) * np.float32(SURFACE[0] / (2 * np.pi)) % SURFACE[0]
        columns = (self.depth + np.float32(place % LENGTH)) * np.float32(SURFACE[1] / LENGTH) % SURFACE[1]
        surface = cv2.remap(
            colon.surface,
            np.repeat(columns[np.newaxis], ANGLES, axis=0),
            np.repeat(rows, DEPTHS, axis=1),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        wall, by_angle, by_place, polyp = (np.asarray(layer, np.float32) for layer in cv2.split(surface))
        return wall, by_angle, by_place, polyp

    def _look_up_texture(self, colon: Colon, place: float, roll: float, depth: Layer) -> NDArray[np.uint8]:
        """Albedo and wetness where each ray meets the wall, `(ANGLES, FIELDS, 4) uint8`."""
        columns = (depth + np.float32(place % LENGTH)) * np.float32(TEXTURE[1] / LENGTH)
        columns -= TEXTURE[1] * (columns >= TEXTURE[1])  # cheaper than a remainder of half a million
        rows = (self._around + np.float32(roll)) * np.float32(TEXTURE[0] / (2 * np.pi)) % TEXTURE[0]
        rows = np.repeat(rows, FIELDS, axis=1)
        texture = cv2.remap(colon.texture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        return np.asarray(texture, np.uint8)

    def _shade(self, wall: Layer, by_angle: Layer, by_place: Layer) -> tuple[Layer, Layer]:
        """Light that the wall returns from a lamp beside the lens, and the cosine of its incidence.

        Mucosa scatters light inside, so its limb is not black: the cosine is rounded off near 0.
        """
        square = wall * wall + self.depth * self.depth
        normal = 1 + by_place * by_place + (by_angle / wall) ** 2
        facing = (wall - self.depth * by_place) / np.sqrt(square * normal)
        light = (0.22 + 0.78 * np.sqrt(facing * facing + 0.06)) / (1 + square / np.float32(2.3))
        return light.astype(np.float32), facing.astype(np.float32)

    def _colour(self, light: Layer, facing: Layer, texture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The polar picture `(ANGLES, FIELDS, 3) uint8 BGR`."""
        tone = cv2.applyColorMap(cv2.convertScaleAbs(light, alpha=255 * EXPOSURE), self._tones)
        b, g, r, wet = cv2.split(texture)
        colour = cv2.multiply(tone, cv2.merge([b, g, r]), scale=1 / 200)
        glint = cv2.addWeighted(facing, GLINT_GAIN, wet.astype(np.float32), GLINT_GAIN * GLINT_SPREAD, 0)
        glint = np.maximum(glint - GLINT_GAIN * GLINT_FROM, 0) * np.minimum(light * GLINT_REACH, 1)
        glint = cv2.convertScaleAbs(glint, alpha=230)
        return np.asarray(cv2.add(colour, cv2.merge([glint, glint, glint])), np.uint8)

    def _project(
        self, polar: NDArray[np.uint8], gaze: tuple[float, float]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Warp the polar picture to the frame and cut the picture's octagon out."""
        polar = np.concatenate([polar[-1:], polar, polar[:1]])  # so that interpolation wraps around
        width, height = self.size
        x, y = (self.margin + round(self.margin * min(1.0, max(-1.0, turn))) for turn in gaze)
        whole, fraction = (part[y : y + height, x : x + width] for part in self._warp)
        frame = cv2.remap(polar, whole, fraction, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        left, top = self._rng.integers(0, GRAIN_SHIFT, 2)
        grain = self._grain[top : top + height, left : left + width]
        frame = cv2.addWeighted(frame, 1, grain, 1, -GRAIN_ZERO)
        frame = cv2.bitwise_and(frame, self._inside)
        bgr = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGRA2BGR), np.uint8)
        return bgr, cv2.extractChannel(frame, 3) >= 128

    def _make_warp(self) -> tuple[NDArray[np.int16], NDArray[np.uint16]]:
        """Where on the polar grid each pixel lies, for a frame with `margin` more pixels on each side."""
        width, height = self.size
        x = np.arange(-self.margin, width + self.margin) + 0.5 - (self.picture.x + self.picture.width / 2)
        y = np.arange(-self.margin, height + self.margin) + 0.5 - (self.picture.y + self.picture.height / 2)
        radius = np.hypot(x, y[:, np.newaxis])
        field = radius * (FOV / self.picture.width) * (FIELDS / WIDEST) - 0.5
        around = np.arctan2(y[:, np.newaxis], x) % (2 * np.pi) * (ANGLES / (2 * np.pi)) + 1
        fixed = cv2.convertMaps(field.astype(np.float32), around.astype(np.float32), cv2.CV_16SC2)
        return np.asarray(fixed[0], np.int16), np.asarray(fixed[1], np.uint16)

    def _make_inside(self) -> NDArray[np.uint8]:
        """`(H, W, 4) uint8`: all bits set inside the picture's octagon, none outside."""
        half_width, half_height = self.picture.width / 2, self.picture.height / 2
        x = np.abs(np.arange(self.size[0]) + 0.5 - (self.picture.x + half_width))
        y = np.abs(np.arange(self.size[1]) + 0.5 - (self.picture.y + half_height))[:, np.newaxis]
        inside = (x <= half_width) & (y <= half_height) & (x + y <= 0.75 * half_width + 0.8 * half_height)
        return np.repeat(inside[..., np.newaxis] * np.uint8(255), 4, axis=2)


def _first_visible(angle: Layer) -> Layer:
    """Invert the viewing angle over depth: which depth each ray meets first.

    Takes `angle: (ANGLES, DEPTHS) float32`, the column of the polar grid at which each depth appears.
    Returns `(ANGLES, FIELDS) float32`, for each column the fractional index of the nearest depth whose angle
    does not exceed it.
    """
    nearest = np.minimum.accumulate(angle, axis=1)  # falls with depth; what lies above it is hidden
    column = np.clip(np.ceil(nearest), 0, FIELDS).astype(np.int32)
    column += np.arange(ANGLES, dtype=np.int32)[:, np.newaxis] * (FIELDS + 1)
    count = np.bincount(column.ravel(), minlength=ANGLES * (FIELDS + 1)).reshape(ANGLES, FIELDS + 1)
    beyond = np.cumsum(count[:, :0:-1], axis=1, dtype=np.int32)[:, ::-1]  # depths whose column exceeds j
    after = np.minimum(beyond, DEPTHS - 1)
    before = np.maximum(after - 1, 0)
    start = np.arange(ANGLES, dtype=np.int32)[:, np.newaxis] * DEPTHS
    flat = angle.ravel()
    high, low = flat.take(start + before), flat.take(start + after)
    step = (high - np.arange(FIELDS, dtype=np.float32)) / np.maximum(high - low, np.float32(1e-3))
    return np.asarray(before + np.clip(step, 0, 1), np.float32)


def _tones() -> NDArray[np.uint8]:
    """TONES as a lookup table `(256, 1, 3) uint8` by luma."""
    luma = [0, *range(24, 256, 16)]
    channels = [np.interp(np.arange(256), luma, TONES[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1)[:, np.newaxis].astype(np.uint8)
