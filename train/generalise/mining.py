"""Hard-negative mining: which polyp-free crops of the training frames a network outlines."""

from collections.abc import Sequence

import numpy as np

from rtpolyp.inference.engine import Engine
from rtpolyp.measure.crops import Crop, crop_images, polyp_free_crops
from rtpolyp.measure.evaluation import predict, read_pair
from rtpolyp.spec import sha256_of
from train.data import Source
from train.hard_crops import HardCrop
from train.losses import HARDEST_FRACTION

__all__ = ["mine"]

PER_FRAME = 3  # crops looked at, one of each scale
LEAST_SCORE = 0.05  # what the network is surer of than this has nothing left to teach


def mine(engine: Engine, sources: Sequence[Source], seed: int) -> list[HardCrop]:
    """Polyp-free crops of the sources' train parts that `engine` scores at LEAST_SCORE or more.

    A crop's score is the mean probability of its HARDEST_FRACTION highest pixels: what the loss of a frame
    without a polyp looks at.
    """
    found = []
    for source in sources:
        pairs = [pair for pair in source.pairs("train") if read_pair(pair)[1].any()]
        if not pairs:
            continue
        crops = polyp_free_crops(pairs, PER_FRAME * len(pairs), seed=seed)
        for crop, probability in predict(engine, crop_images(crops)):
            score = _highest(probability)
            if score >= LEAST_SCORE:
                found.append(_hard(crop, score))
    return found


def _highest(probability: np.ndarray) -> float:
    count = max(1, round(HARDEST_FRACTION * probability.size))
    return float(np.partition(probability.ravel(), -count)[-count:].mean()) / 255


def _hard(crop: Crop, score: float) -> HardCrop:
    image, _ = read_pair(crop.pair)
    (height, width), rect = image.shape[:2], crop.rect
    return HardCrop(
        crop.pair.image.name,
        sha256_of(crop.pair.image),
        rect.x / width,
        rect.y / height,
        rect.width / width,
        rect.height / height,
        score,
    )
