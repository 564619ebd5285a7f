"""An endoscope-like clip by our own code, with the exact mask of every frame.

No data set and no patient stands behind it: a camera travels through a textured tube with folds and polyps.
It shows that the pipeline works and gives tests a ground truth; it says nothing about clinical accuracy.
"""

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.phantom.camera import FARTHEST, Camera
from rtpolyp.phantom.colon import LENGTH, PolypLook, PolypSite, build_colon

__all__ = ["SMALLEST", "PhantomFrame", "PolypLook", "render_phantom"]

SPEED = 0.75  # radii a second
LINGERING = 0.6  # of the speed that is taken off beside a polyp
REACH = 3.2  # radii ahead from which a polyp is annotated; before that it is a shade in the dark of the lumen
SMALLEST = 64  # pixels, shorter side of a frame
UNSEEN = FARTHEST + 0.5, LENGTH - 0.5  # radii ahead between which no polyp is in the camera's reach
ABSENT_RADIUS = 1e-6  # of a polyp that does not reach out of the wall


@dataclass(frozen=True)
class PhantomFrame:
    """One rendered frame and its truth."""

    bgr: NDArray[np.uint8]  # (H, W, 3)
    mask: NDArray[np.bool_]  # (H, W), True = polyp
    index: int
    pts_seconds: float


def render_phantom(
    seconds: float,
    size: tuple[int, int] = (1280, 1024),
    fps: Fraction | float = 25,
    seed: int = 0,
    look: PolypLook | None = None,
    populated: Sequence[tuple[float, float]] | None = None,
) -> Iterator[PhantomFrame]:
    """Render `seconds` of a phantom at `fps` frames a second, frames of `size` (width, height).

    The same `seed` gives the same clip. A lap begins without a polyp; a large one comes into view, grows and
    leaves; after a stretch without follows a smaller one; then the lap repeats. `look` says how much the
    polyps stand out. `populated` are the times (from, to), in seconds, in which polyps may grow, by default
    always: one is there or not as the time was when it last was out of sight, so that none pops up. Frames
    are rendered as they are asked for. Raises InputError on a size under 64 pixels, or on no duration or rate
    above 0.
    """
    if min(size) < SMALLEST or not (seconds > 0 and fps > 0):
        raise InputError(
            f"phantom of {seconds} s, {size[0]}x{size[1]} at {fps} frames/s: give a duration and a rate "
            f"above 0 and at least {SMALLEST}x{SMALLEST} pixels"
        )
    if populated is None:
        populated = ((0, seconds),)
    return _frames(round(seconds * fps), size, float(fps), seed, look or PolypLook(), populated)


def _frames(
    count: int,
    size: tuple[int, int],
    fps: float,
    seed: int,
    look: PolypLook,
    populated: Sequence[tuple[float, float]],
) -> Iterator[PhantomFrame]:
    rng = np.random.default_rng(seed)
    sites = (
        PolypSite(angle=rng.uniform(0, 2 * np.pi), place=4.0, radius=rng.uniform(0.34, 0.40)),
        PolypSite(angle=rng.uniform(0, 2 * np.pi), place=9.3, radius=rng.uniform(0.28, 0.34)),
    )
    before = copy.deepcopy(rng)  # for the same folds and mucosa once more
    grown = (_within(0.0, populated),) * len(sites)  # which polyps are there
    colons = {grown: build_colon(rng, _grow(sites, grown), look)}
    camera = Camera(size, rng)
    caption = _caption(camera, seed)
    place = 0.0
    for index in range(count):
        time = index / fps
        ahead = [(site.place - place) % LENGTH for site in sites]
        now = _within(time, populated)
        grown = tuple(now if UNSEEN[0] < d < UNSEEN[1] else old for d, old in zip(ahead, grown, strict=True))
        if grown not in colons:
            colons[grown] = build_colon(copy.deepcopy(before), _grow(sites, grown), look)
        horizon = min(
            (d - 1.6 * site.radius for d, site in zip(ahead, sites, strict=True) if d > REACH), default=np.inf
        )
        roll = 0.25 * np.sin(0.5 * time) + 0.05 * np.sin(1.9 * time)
        gaze = _gaze(sites, ahead, roll, time)
        bgr, mask = camera.render(colons[grown], place, roll, _bend(place, time, camera.depth), gaze, horizon)
        bgr[: caption.shape[0], : caption.shape[1]] |= caption
        yield PhantomFrame(bgr, mask, index, time)
        place += SPEED / fps * (1 - LINGERING * max(_between(d, 0.2, 0.6, 1.2, 2.0) for d in ahead))


def _within(time: float, stretches: Sequence[tuple[float, float]]) -> bool:
    return any(start <= time < end for start, end in stretches)


def _grow(sites: Sequence[PolypSite], grown: Sequence[bool]) -> list[PolypSite]:
    """The sites with a polyp where one has grown; the others keep their draws of chance."""
    return [
        site if there else dataclasses.replace(site, radius=ABSENT_RADIUS)
        for site, there in zip(sites, grown, strict=True)
    ]


def _between(x: float, start: float, full: float, fading: float, end: float) -> float:
    """0 outside `start` to `end`, 1 from `full` to `fading`, straight lines between."""
    return float(np.interp(x, (start, full, fading, end), (0, 1, 1, 0)))


def _gaze(
    sites: Sequence[PolypSite], ahead: Sequence[float], roll: float, time: float
) -> tuple[float, float]:
    """Where the endoscopist looks: a wandering gaze, drawn to the polyp beside the camera."""
    x = 0.12 * np.sin(0.9 * time) + 0.05 * np.sin(2.3 * time)
    y = 0.12 * np.cos(0.7 * time) + 0.05 * np.sin(2.9 * time)
    for site, distance in zip(sites, ahead, strict=True):
        drawn = _between(distance, 0.15, 0.55, 1.2, 2.4)
        x += drawn * np.cos(site.angle - roll)
        y += drawn * np.sin(site.angle - roll)
    return float(x), float(y)


def _bend(place: float, time: float, depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far the lumen lies off the camera's axis at each depth, `(2, DEPTHS) float32` in radii.

    The colon's centre line winds; the camera swings about it and looks almost along it. The offset is kept
    under 0.28 radii, so that the axis stays inside the lumen, where the polar grid is dense.
    """
    turn = 2 * np.pi / LENGTH
    along = np.concatenate([[place, place + 1e-3], place + depth])
    centre = np.stack([0.5 * np.sin(2 * turn * along), 0.5 * np.cos(3 * turn * along + 1)])
    here, slope = centre[:, :1], (centre[:, 1:2] - centre[:, :1]) / 1e-3
    sway = np.array([[np.sin(1.3 * time)], [np.cos(1.7 * time)]])
    offset = centre[:, 2:] - here - 0.75 * slope * depth + 0.06 * sway
    return np.asarray(offset * (0.28 / (0.28 + np.hypot(*offset))), np.float32)


def _caption(camera: Camera, seed: int) -> NDArray[np.uint8]:
    """Text in the black area beside the picture, as endoscopy towers have it, `(H, picture.x, 3) uint8`."""
    panel = np.zeros((camera.size[1], camera.picture.x, 3), np.uint8)
    scale = camera.size[0] / 1600
    for line, text in enumerate(("PHANTOM", "NO PATIENT", f"SEED {seed}")):
        origin = round(24 * scale), round((60 + 44 * line) * scale)
        cv2.putText(panel, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, (200,) * 3, 1, cv2.LINE_AA)
    return panel
