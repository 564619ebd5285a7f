"""Dice, IoU and polyps found, by every convention that the literature uses.

Pure NumPy on arrays of one size; resizing and labelling happen in `evaluation`. A frame without a polyp has
no Dice: it only tells whether something was outlined on it.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MATCH_IOU",
    "Detection",
    "Overlap",
    "detect",
    "meetings",
    "overlap",
    "soft_dice",
    "threshold_means",
    "threshold_rates",
]

MATCH_IOU = 0.3  # IoU of an outline with a polyp from which the polyp counts as found
LEVELS = 256  # thresholds of PraNet's toolbox: 0, 1/255 … 1


@dataclass(frozen=True)
class Overlap:
    """Pixel counts of a predicted mask against the truth; sums of Overlaps give dataset-level figures."""

    common: int  # polyp in both
    predicted: int  # polyp in the prediction
    truth: int  # polyp in the truth
    total: int  # pixels of the frame

    def __add__(self, other: Self) -> "Overlap":
        return Overlap(
            self.common + other.common,
            self.predicted + other.predicted,
            self.truth + other.truth,
            self.total + other.total,
        )

    @property
    def dice(self) -> float:
        """Dice of the polyp class; NaN where the truth has none."""
        return 2 * self.common / (self.predicted + self.truth) if self.truth else float("nan")

    @property
    def iou(self) -> float:
        """IoU of the polyp class; NaN where the truth has none."""
        return self.common / (self.predicted + self.truth - self.common) if self.truth else float("nan")

    @property
    def two_class_iou(self) -> float:
        """Mean IoU of polyp and background; NaN where the truth has no polyp.

        Background that neither mask has counts as fully matched.
        """
        background = self.total - self.common
        common_background = self.total - self.predicted - self.truth + self.common
        return (self.iou + (common_background / background if background else 1.0)) / 2


def overlap(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Overlap:
    """Count pixels of two masks `(H, W) bool`."""
    return Overlap(
        common=int(np.count_nonzero(prediction & truth)),
        predicted=int(np.count_nonzero(prediction)),
        truth=int(np.count_nonzero(truth)),
        total=truth.size,
    )


def threshold_means(probability: NDArray[np.uint8], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """PraNet's convention: Dice and IoU averaged over 256 thresholds after per-image min–max stretching.

    `probability: (H, W) uint8`, `truth: (H, W) bool`. A pixel passes threshold k / 255 when its stretched
    value is at least that; a constant map is taken as it is (MATLAB's `mat2gray`, which the toolbox calls).
    Two histograms give all 256 masks at once, exactly. NaN where the truth has no polyp.

    Never use the stretching elsewhere: on a polyp-free frame it turns noise into a mask.
    """
    polyp = int(np.count_nonzero(truth))
    if polyp == 0:
        return float("nan"), float("nan")
    common, predicted = _at_thresholds(probability, truth)
    dice = 2 * common / (predicted + polyp)
    iou = common / (predicted + polyp - common)
    return float(dice.mean()), float(iou.mean())


def threshold_rates(probability: NDArray[np.uint8], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """PraNet's sensitivity and specificity of pixels, averaged over the thresholds of `threshold_means`.

    As in its toolbox and SUN-SEG's, both are 0 at a threshold at which no polyp pixel is met, so that an
    empty map has no specificity of 1. NaN where the truth has no polyp or nothing else.
    """
    polyp = int(np.count_nonzero(truth))
    if polyp in (0, truth.size):
        return float("nan"), float("nan")
    common, predicted = _at_thresholds(probability, truth)
    background = truth.size - polyp
    specificity = np.where(common > 0, (background - (predicted - common)) / background, 0)
    return float((common / polyp).mean()), float(specificity.mean())


def soft_dice(probability: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """ResUNet++'s Dice of soft masks `(H, W) float32` in [0, 1], with its smoothing term of 1."""
    common = float((probability * truth).sum(dtype=np.float64))
    both = float(probability.sum(dtype=np.float64) + truth.sum(dtype=np.float64))
    return (2 * common + 1) / (both + 1)


@dataclass(frozen=True)
class Detection:
    """How many polyps of a frame were found, and how many outlines belong to none."""

    polyps: int
    found: int  # polyps that some outline meets with IoU ≥ MATCH_IOU
    outlines: int
    false_outlines: int  # outlines that meet no polyp with IoU ≥ MATCH_IOU


def detect(outlines: NDArray[np.int32], polyps: NDArray[np.int32]) -> Detection:
    """Match outlines with polyps, both as label maps `(H, W) int32`: 0 is background, 1 … n the regions."""
    matches = meetings(outlines, polyps)
    n_outlines, n_polyps = matches.shape
    return Detection(
        polyps=n_polyps,
        found=int(matches.any(axis=0).sum()),
        outlines=n_outlines,
        false_outlines=n_outlines - int(matches.any(axis=1).sum()),
    )


def meetings(outlines: NDArray[np.int32], polyps: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which outline meets which polyp with IoU ≥ MATCH_IOU, `(outlines, polyps) bool`; takes label maps."""
    n_outlines, n_polyps = int(outlines.max()), int(polyps.max())
    pairs = outlines.ravel().astype(np.int64) * (n_polyps + 1) + polyps.ravel()
    common = np.bincount(pairs, minlength=(n_outlines + 1) * (n_polyps + 1)).reshape(n_outlines + 1, -1)
    areas = common.sum(axis=1, keepdims=True) + common.sum(axis=0, keepdims=True)
    iou = (common / np.maximum(areas - common, 1))[1:, 1:]
    return np.asarray(iou >= MATCH_IOU)


def _at_thresholds(
    probability: NDArray[np.uint8], truth: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Polyp pixels met and all pixels predicted, `(256,)` each, at the thresholds of the stretched map."""
    k = np.arange(LEVELS)
    low, high = int(probability.min()), int(probability.max())
    lowest = low + -(-k * (high - low) // 255) if high > low else k  # smallest value that passes k / 255
    return _at_least(probability[truth])[lowest], _at_least(probability.ravel())[lowest]


def _at_least(values: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How many values reach each of 0 … 255: (256,)."""
    histogram = np.bincount(values, minlength=LEVELS).astype(np.int64)
    return np.cumsum(histogram[::-1])[::-1]
