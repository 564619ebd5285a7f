"""The phantom's colon: a height field over a cylinder, and the texture on it.

Lengths are in units of the colon's radius. Everything wraps around, along the angle and along the colon,
so a camera may travel for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["LENGTH", "Colon", "PolypLook", "PolypSite", "build_colon"]

LENGTH = 10.4  # radii after which the colon repeats
SURFACE = 512, 1024  # cells of the height field: around, along
TEXTURE = 1280, 2120  # texels: around, along; about 204 a radius in both directions
FOLDS = 9

Map = NDArray[np.float32]


@dataclass(frozen=True)
class PolypLook:
    """How much the polyps stand out from the mucosa around them.

    By default they are 1.2 times as bright as what surrounds them and hardly redder. In the median of 300
    Kvasir-SEG frames it is 1.26 times, and their ratio of red to green is 0.98 of the surroundings'.
    """

    relief: float = 0.95  # height of the dome in units of its radius; 1 is half a ball, more overhangs
    redness: float = 0.15  # how much redder than mucosa, 0 to 1
    brightness: float = 1.3  # luma relative to mucosa's, as light falls alike
    pattern: float = 0.15  # contrast of the surface pattern
    crease: float = 0.30  # darkening at the foot, 0 to 1


@dataclass(frozen=True)
class PolypSite:
    """Where a polyp sits and how large it is."""

    angle: float  # radians around the colon
    place: float  # radii along the colon
    radius: float  # radii


@dataclass(frozen=True)
class Colon:
    """The tables that a camera samples; rows go around, columns along."""

    surface: NDArray[
        np.float32
    ]  # (*SURFACE, 4): distance from the axis, its derivatives around and along, polyp
    texture: NDArray[np.uint8]  # (*TEXTURE, 4): B, G, R albedo with 200 = mucosa's mean, wetness


def build_colon(rng: np.random.Generator, sites: Sequence[PolypSite], look: PolypLook) -> Colon:
    """Shape folds, polyps, vessels and mucosa; the same `rng` state gives the same colon."""
    around = (np.arange(SURFACE[0], dtype=np.float32) * (2 * np.pi / SURFACE[0]))[:, np.newaxis]
    along = (np.arange(SURFACE[1], dtype=np.float32) * (LENGTH / SURFACE[1]))[np.newaxis]
    wall = 1 + 0.07 * np.cos(3 * around) + 0.035 * _octaves(rng, SURFACE, (4, 10), 3)
    wall -= _folds(rng, around, along)
    wall += 0.012 * _octaves(rng, SURFACE, (14, 22), 2) + 0.004 * _octaves(rng, SURFACE, (32, 52), 2)
    polyp, crease = np.zeros(SURFACE, np.float32), np.ones(SURFACE, np.float32)
    for site in sites:
        dome, foot = _dome(rng, site, look, around, along)
        polyp = np.maximum(polyp, np.clip((wall - dome) * 25, 0, 1))
        wall = np.minimum(wall, dome)
        crease *= 1 - look.crease * np.exp(-(((foot - 1.02) / 0.14) ** 2))
    for axis in (0, 1, 0, 1):  # round off the feet, whose steps on the grid would show as teeth
        wall = 0.5 * wall + 0.25 * (np.roll(wall, 1, axis) + np.roll(wall, -1, axis))
    by_angle = (np.roll(wall, -1, 0) - np.roll(wall, 1, 0)) * (SURFACE[0] / (4 * np.pi))
    by_place = (np.roll(wall, -1, 1) - np.roll(wall, 1, 1)) * (SURFACE[1] / (2 * LENGTH))
    surface = np.stack([wall, by_angle, by_place, polyp], axis=-1).astype(np.float32)
    return Colon(surface, _texture(rng, polyp, crease, look))


def _wrapped(difference: Map, period: float) -> Map:
    """A difference of positions on a circle, from -period / 2 to period / 2."""
    return (difference + period / 2) % period - period / 2


def _noise(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]) -> Map:
    """Smooth noise in about [-1, 1] that wraps around: random cells enlarged by cubic interpolation."""
    pad = 3
    small = np.pad(rng.uniform(-1, 1, cells).astype(np.float32), pad, mode="wrap")
    scale = shape[0] / cells[0], shape[1] / cells[1]
    size = round(small.shape[1] * scale[1]), round(small.shape[0] * scale[0])
    large = cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)
    y, x = round(pad * scale[0]), round(pad * scale[1])
    return np.asarray(large[y : y + shape[0], x : x + shape[1]], np.float32)


def _octaves(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int], count: int) -> Map:
    """`count` layers of noise, each twice as fine and 0.55 times as strong as the one before."""
    total = np.zeros(shape, np.float32)
    for k in range(count):
        total += np.float32(0.55**k) * _noise(rng, shape, (cells[0] << k, cells[1] << k))
    return total


def _folds(rng: np.random.Generator, around: Map, along: Map) -> Map:
    """The haustral folds: crescents a third of the radius high, gentle towards the camera, steep behind."""
    height = np.zeros(SURFACE, np.float32)
    for k in range(FOLDS):
        place = (k + rng.uniform(-0.25, 0.25)) * LENGTH / FOLDS
        angle, tilt = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.22)
        crest = rng.uniform(0.22, 0.38) * (0.2 + 0.8 * (0.5 + 0.5 * np.cos(around - angle)) ** 1.3)
        offset = along - place - tilt * np.sin(around + angle) - 0.05 * np.sin(5 * around + angle)
        offset = _wrapped(offset, LENGTH)
        height += crest * np.exp(-((offset / np.where(offset < 0, 0.26, 0.11)) ** 2))
    return height


def _dome(
    rng: np.random.Generator, site: PolypSite, look: PolypLook, around: Map, along: Map
) -> tuple[Map, Map]:
    """A lumpy ball half sunk in the wall: how far from the axis its near side is, infinite beside it.

    The second map is the distance from the ball's middle, seen from the axis, in units of its radius.
    """
    angle = np.clip(_wrapped(around - site.angle, 2 * np.pi), -np.pi / 2, np.pi / 2)
    away = _wrapped(along - site.place, LENGTH)
    centre = 1 + (1 - look.relief) * site.radius
    aside = centre * np.sin(angle)
    direction = np.arctan2(aside, away)
    outwards = np.minimum(np.hypot(aside, away) / site.radius, 1) ** 2  # lobes fade out towards the middle
    radius = site.radius * (1 + 0.05 * _octaves(rng, SURFACE, (16, 28), 2))
    for lobes, height in ((2, 0.09), (3, 0.05)):
        radius = radius * (1 + height * outwards * np.cos(lobes * direction + rng.uniform(0, 2 * np.pi)))
    square = radius**2 - aside**2 - away**2
    dome = np.where(square > 0, centre * np.cos(angle) - np.sqrt(np.maximum(square, 0)), np.inf)
    return np.asarray(dome, np.float32), np.asarray(np.hypot(aside, away) / radius, np.float32)


def _texture(rng: np.random.Generator, polyp: Map, crease: Map, look: PolypLook) -> NDArray[np.uint8]:
    size = TEXTURE[1], TEXTURE[0]
    polyp, crease = (np.asarray(cv2.resize(layer, size), np.float32) for layer in (polyp, crease))
    mottle = _octaves(rng, TEXTURE, (6, 10), 5)
    grain = _octaves(rng, TEXTURE, (160, 265), 2)
    pits = _octaves(rng, TEXTURE, (110, 182), 2)
    # at the network's size fainter than the dark lines of three in four polyp-free frames of HyperKvasir
    vessels = _vessels(rng) * (1 - 0.8 * polyp)
    redness = 0.10 + 0.07 * mottle + 0.05 * grain + 0.30 * vessels
    redness += polyp * (look.redness + look.pattern * pits)
    redness = np.maximum(redness, 0)  # under 0 it would turn bright mucosa green
    luma = 1 + 0.03 * mottle + 0.05 * grain - 0.12 * vessels
    luma += polyp * (look.brightness - 1 + 0.7 * look.pattern * pits)
    luma *= crease
    channels = [luma * (1 - weight * redness) for weight in (0.50, 0.48, 0.05)]
    wet = 127 + 60 * _octaves(rng, TEXTURE, (110, 130), 3)
    planes = [cv2.convertScaleAbs(np.maximum(channel, 0), alpha=200) for channel in channels]
    return np.ascontiguousarray(np.dstack([*planes, np.clip(wet, 0, 255).astype(np.uint8)]))


def _vessels(rng: np.random.Generator) -> Map:
    """Branching submucosal vessels as darkness in [0, 1]."""
    drawing = np.zeros(TEXTURE, np.uint8)
    twigs = [(rng.uniform((0, 0), TEXTURE[::-1]), rng.uniform(0, 2 * np.pi), 3, 40) for _ in range(60)]
    while twigs:
        start, heading, width, steps = twigs.pop()
        headings = heading + np.cumsum(rng.normal(0, 0.25, steps))
        points = start + 6 * np.cumsum(np.stack([np.cos(headings), np.sin(headings)], axis=1), axis=0)
        if width > 1:
            for k in np.flatnonzero(rng.random(steps) < 0.12):
                turned = headings[k] + rng.choice((-1, 1)) * rng.uniform(0.4, 1.1)
                twigs.append((points[k], turned, width - 1, steps * 2 // 3))
        for shift in ((0, 0), (TEXTURE[1], 0), (-TEXTURE[1], 0), (0, TEXTURE[0]), (0, -TEXTURE[0])):
            fixed = np.rint((points + shift) * 16).astype(np.int32)
            cv2.polylines(drawing, [fixed], False, 60 + 45 * width, (width + 1) // 2, cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(drawing, (0, 0), 1.0), np.float32) * np.float32(1 / 255)
