"""Polyp-free crops: how often something is outlined where no polyp is.

True polyp-free frames are rare in public data, so crops of frames stand in for them: mucosa without a polyp
pixel, at the network's aspect, from the same hospital as the frames scored.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect, make_view
from rtpolyp.imaging.postprocess import find_polyps
from rtpolyp.inference.engine import Engine
from rtpolyp.measure.dataset import Pair
from rtpolyp.measure.evaluation import Progress, predict, read_pair
from rtpolyp.measure.frame_score import HALF
from rtpolyp.measure.statistics import Interval, clopper_pearson
from rtpolyp.settings import Settings

__all__ = [
    "SCALES",
    "Crop",
    "CropScore",
    "OutlineRate",
    "crop_images",
    "evaluate_crops",
    "outline_rate",
    "polyp_free_crops",
]

SCALES = (0.35, 0.5, 0.7)  # crop's side over that of the largest rectangle of its aspect in the frame
PER_FRAME = 6  # crops of one frame and scale at most: more would be the same mucosa again
STRIDE = 8  # pixels between candidate positions
DARK = 24  # a pixel with no channel above this is border, not mucosa
DARK_SHARE = 0.1  # of a crop; borders alone tell the network that nothing is there, and flatter the rate


@dataclass(frozen=True)
class Crop:
    """A rectangle of a frame without a polyp pixel."""

    pair: Pair
    rect: Rect  # frame pixels
    scale: float  # one of SCALES


@dataclass(frozen=True)
class CropScore:
    """Whether the engine outlined anything on a crop."""

    crop: Crop
    at_half: bool  # any pixel with probability ≥ 0.5
    at_operating: bool  # any outline at the operating point


@dataclass(frozen=True)
class OutlineRate:
    """How many of some polyp-free pictures got an outline, with the exact 95 % interval of the rate."""

    outlined: int
    total: int
    interval: Interval

    @property
    def rate(self) -> float:
        """Share of pictures with an outline, 0 to 1."""
        return self.outlined / self.total


def outline_rate(outlined: Sequence[bool]) -> OutlineRate | None:
    """The rate over pictures, independent as Clopper and Pearson assume; None without any.

    Crops of one frame resemble each other, so an interval over crops is a lower bound of the uncertainty.
    """
    if not outlined:
        return None
    count = sum(outlined)
    return OutlineRate(count, len(outlined), clopper_pearson(count, len(outlined)))


def polyp_free_crops(pairs: Sequence[Pair], count: int, *, aspect: float = 1.0, seed: int = 0) -> list[Crop]:
    """Choose `count` crops of width / height = `aspect` without a polyp pixel, a third at each of SCALES.

    Positions are uniform over those of a grid of STRIDE pixels where no polyp pixel and at most DARK_SHARE of
    border lies. At each scale all frames give one crop before any gives a second, up to PER_FRAME; a scale
    that runs out is filled from the others. The same seed and frames give the same crops. Raises InputError
    when fewer than `count` exist.
    """
    rng = np.random.default_rng(seed)
    by_scale: list[list[tuple[int, float, Crop]]] = [[] for _ in SCALES]
    for pair in pairs:
        image, truth = read_pair(pair)
        blocked = cv2.integral(truth.astype(np.uint8))
        dark = cv2.integral((image.max(axis=2) <= DARK).astype(np.uint8))
        for crops, scale in zip(by_scale, SCALES, strict=True):
            width, height = _crop_size(image.shape[1], image.shape[0], aspect, scale)
            free = (_sums(blocked, width, height) == 0) & (
                _sums(dark, width, height) <= DARK_SHARE * width * height
            )
            ys, xs = np.nonzero(free)
            chosen = rng.permutation(len(ys))[:PER_FRAME]
            for turn, index in enumerate(chosen):
                rect = Rect(int(xs[index]) * STRIDE, int(ys[index]) * STRIDE, width, height)
                crops.append((turn, rng.random(), Crop(pair, rect, scale)))
    queues = [[crop for _, _, crop in sorted(crops, key=lambda c: c[:2])] for crops in by_scale]
    if (available := sum(map(len, queues))) < count:
        raise InputError(
            f"only {available} polyp-free crops exist in these {len(pairs)} frames, {count} were asked for: "
            "ask for fewer or take more frames"
        )
    picked: list[Crop] = []
    while len(picked) < count:
        for queue in queues:
            if queue and len(picked) < count:
                picked.append(queue.pop(0))
    order = {pair.name: index for index, pair in enumerate(pairs)}
    return sorted(picked, key=lambda crop: order[crop.pair.name])


def evaluate_crops(
    engine: Engine, crops: Sequence[Crop], settings: Settings, *, progress: Progress | None = None
) -> list[CropScore]:
    """Run the engine on crops, each stretched to the network's input as a frame would be."""
    scores = []
    for crop, probability in predict(engine, crop_images(crops)):
        view = make_view((crop.rect.width, crop.rect.height), engine.spec.size)
        outlined = bool(find_polyps(probability, view, settings))
        scores.append(CropScore(crop, bool((probability >= HALF).any()), outlined))
        if progress is not None:
            progress(len(scores), len(crops))
    return scores


def crop_rates(crops: Sequence[CropScore]) -> dict[str, dict[str, OutlineRate]]:
    """Rates at 0.5 and at the operating point, over "all" crops and by scale; empty without crops."""
    readings: tuple[tuple[str, Callable[[CropScore], bool]], ...] = (
        ("at_half", lambda score: score.at_half),
        ("operating", lambda score: score.at_operating),
    )
    selections = {"all": list(crops)} | {
        f"scale {scale}": [score for score in crops if score.crop.scale == scale] for scale in SCALES
    }
    return {
        key: {
            name: rate
            for name, chosen in selections.items()
            if (rate := outline_rate([reading(score) for score in chosen])) is not None
        }
        for key, reading in readings
        if crops
    }


def crop_images(crops: Sequence[Crop]) -> Iterator[tuple[Crop, NDArray[np.uint8]]]:
    """Crops of one frame follow each other, so each frame is read once."""
    name, image = None, np.empty((0, 0, 3), np.uint8)
    for crop in crops:
        if crop.pair.name != name:
            name, (image, _) = crop.pair.name, read_pair(crop.pair)
        rect = crop.rect
        yield crop, image[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]


def _crop_size(width: int, height: int, aspect: float, scale: float) -> tuple[int, int]:
    largest = min(width, height * aspect)
    return round(scale * largest), round(scale * largest / aspect)


def _sums(integral: NDArray[Any], width: int, height: int) -> NDArray[np.int32]:
    """Sums over all `width` × `height` windows on the grid of STRIDE pixels, from an integral image."""
    low = slice(None, -height or None), slice(None, -width or None)
    corner = integral[low][::STRIDE, ::STRIDE]
    right = integral[low[0], width:][::STRIDE, ::STRIDE]
    below = integral[height:, low[1]][::STRIDE, ::STRIDE]
    opposite = integral[height:, width:][::STRIDE, ::STRIDE]
    return np.asarray(opposite - right - below + corner, np.int32)
