"""Frames as the runtime would see them, with their truth, and what an engine makes of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rtpolyp.imaging.picture import Crop
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.inference.engine import Engine
from rtpolyp.measure.dataset import Pair
from rtpolyp.measure.evaluation import predict, read_cropped
from rtpolyp.measure.frame_score import HALF
from rtpolyp.measure.metrics import overlap
from train.data import Source

__all__ = ["HeldOut", "dice_per_frame", "load_frames_of", "load_held_out", "probabilities"]


@dataclass(frozen=True)
class HeldOut:
    """Validation frames, all in memory: 0.5 MB each at 352 px."""

    frames: np.ndarray  # (F, H, W, 3) uint8 BGR, as resize_frame gives them
    truth: np.ndarray  # (F, H, W) bool
    sources: tuple[str, ...]  # (F) names, e.g. "kvasir-seg:paper80-10-10"
    pairs: tuple[Pair, ...]  # (F) files

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def has_polyp(self) -> np.ndarray:
        """(F,) bool."""
        return np.asarray(self.truth.any(axis=(1, 2)))


def load_held_out(sources: Sequence[Source], size: tuple[int, int], *, picture_crop: bool = False) -> HeldOut:
    """Read the val parts of all sources at `size` = (width, height), with `picture_crop` as a stream's.

    Raises InputError for unusable files.
    """
    crop: Crop = "auto" if picture_crop else "off"
    pairs, names, frames, truth = [], [], [], []
    for source in sources:
        for pair in source.pairs("val"):
            image, mask = read_cropped(pair, crop)
            frames.append(resize_frame(image, size))
            truth.append(resize_frame(mask.view(np.uint8) * np.uint8(255), size) >= HALF)
            pairs.append(pair)
            names.append(source.name)
    return HeldOut(np.stack(frames), np.stack(truth), tuple(names), tuple(pairs))


def load_frames_of(
    sources: Sequence[Source], count: int, size: tuple[int, int], seed: int, *, picture_crop: bool = False
) -> np.ndarray:
    """`count` train frames `(C, H, W, 3) uint8 BGR`, drawn over all sources; all if there are fewer."""
    crop: Crop = "auto" if picture_crop else "off"
    pairs = [pair for source in sources for pair in source.pairs("train")]
    chosen = np.random.default_rng(seed).permutation(len(pairs))[:count]
    return np.stack([resize_frame(read_cropped(pairs[index], crop)[0], size) for index in chosen])


def probabilities(engine: Engine, images: Iterable[np.ndarray]) -> np.ndarray:
    """Run images `(h, w, 3) uint8 BGR` of any size; `(F, H, W) uint8` on the network's grid."""
    return np.stack([probability for _, probability in predict(engine, enumerate(images))])


def dice_per_frame(probability: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Dice at 0.5 on the network's grid, `(F,) float64`, NaN on a frame without a polyp."""
    pairs = zip(probability, truth, strict=True)
    return np.array([overlap(found >= HALF, polyp).dice for found, polyp in pairs])
