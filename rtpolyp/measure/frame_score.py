"""One frame of a data set, scored by every convention."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import Rect, make_view
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.imaging.postprocess import find_polyps, rasterise
from rtpolyp.measure.dataset import Pair
from rtpolyp.measure.froc import Candidate
from rtpolyp.measure.metrics import (
    Detection,
    Overlap,
    detect,
    meetings,
    overlap,
    soft_dice,
    threshold_means,
    threshold_rates,
)
from rtpolyp.measure.structure import e_measure, s_measure, stretch, weighted_f
from rtpolyp.settings import Settings

__all__ = ["SPECK", "FrameScore", "Structure", "score_frame"]

HALF = 128  # smallest uint8 probability that is at least 0.5
SOFT_SIDE = 256  # pixels; the size at which ResUNet++ scores
# Smaller components of the truth, as a fraction of the frame, are slips of the brush and not polyps to find:
# 143 of Kvasir-SEG's 1206 and 24 of CVC-612's 670, most of one pixel; none lies within ten times this size.
SPECK = 1e-4


@dataclass(frozen=True)
class Structure:
    """What PraNet and SUN-SEG report beside Dice and IoU; all NaN on a frame without polyp or background.

    Of the map stretched to its own range, see `rtpolyp.measure.structure` and `threshold_rates`.
    """

    s_measure: float
    weighted_f: float
    e_measure: float  # mean over 256 thresholds, as the two below
    sensitivity: float  # of pixels
    specificity: float


@dataclass(frozen=True)
class FrameScore:
    """One frame by every convention; figures of Dice and IoU are NaN on a frame without a polyp."""

    pair: Pair
    half: Overlap  # at ground-truth size, probability ≥ 0.5
    operating: Overlap  # at ground-truth size, the outlines that a user would see
    half_detection: Detection  # connected regions at 0.5
    detection: Detection  # the outlines that a user would see
    threshold_dice: float  # PraNet: mean over 256 thresholds, min–max stretched
    threshold_iou: float
    soft_dice: float  # ResUNet++: at 256 × 256
    small: Overlap  # at 256 × 256, 0.5
    structure: Structure
    candidates: tuple[Candidate, ...]  # outlines of any mean probability
    polyps: tuple[Polyp, ...]  # the outlines, in the frame's pixels

    @property
    def has_polyp(self) -> bool:
        """Whether the truth has any polyp pixel."""
        return self.half.truth > 0


def score_frame(
    pair: Pair,
    probability: NDArray[np.uint8],
    truth: NDArray[np.bool_],
    settings: Settings,
    crop: Rect | None = None,
) -> FrameScore:
    """Score one frame: `probability` uint8 of any size, stretched bilinearly to `truth: (H, W) bool`.

    With `crop` it belongs to that part of the frame, and around it there is no polyp.
    """
    height, width = truth.shape
    view = make_view((width, height), (probability.shape[1], probability.shape[0]), crop)
    full = np.zeros((height, width), np.uint8)
    area = view.crop
    full[area.y : area.y + area.height, area.x : area.x + area.width] = _stretch(
        probability, (area.width, area.height)
    )
    small = _stretch(probability if crop is None else full, (SOFT_SIDE, SOFT_SIDE))
    small_truth = _stretch(truth.astype(np.uint8) * np.uint8(255), (SOFT_SIDE, SOFT_SIDE))
    outlined = find_polyps(probability, view, replace(settings, minimum_confidence=0.0))
    polyps = tuple(polyp for polyp in outlined if polyp.confidence >= settings.minimum_confidence)
    outlines = _numbered(polyps, truth.shape)
    polyps_in_truth = _label(truth, minimum=SPECK * truth.size)
    met = meetings(_numbered(outlined, truth.shape), polyps_in_truth)
    threshold_dice, threshold_iou = threshold_means(full, truth)
    return FrameScore(
        pair=pair,
        half=overlap(full >= HALF, truth),
        operating=overlap(outlines > 0, truth),
        half_detection=detect(_label(full >= HALF), polyps_in_truth),
        detection=detect(outlines, polyps_in_truth),
        threshold_dice=threshold_dice,
        threshold_iou=threshold_iou,
        soft_dice=soft_dice(_unit(small), _unit(small_truth)) if truth.any() else float("nan"),
        small=overlap(small >= HALF, small_truth >= HALF),
        structure=_structure(full, truth),
        candidates=tuple(
            Candidate(polyp.confidence, frozenset(np.flatnonzero(row).tolist()))
            for polyp, row in zip(outlined, met, strict=False)  # one that covers no pixel's centre has no row
        ),
        polyps=polyps,
    )


def _structure(probability: NDArray[np.uint8], truth: NDArray[np.bool_]) -> Structure:
    if truth.all() or not truth.any():
        return Structure(*[float("nan")] * 5)
    unit = stretch(probability)
    measures = s_measure(unit, truth), weighted_f(unit, truth), e_measure(unit, truth)
    return Structure(*measures, *threshold_rates(probability, truth))


def _numbered(polyps: Sequence[Polyp], shape: tuple[int, ...]) -> NDArray[np.int32]:
    """The outlines `(H, W) int32`, numbered from 1."""
    numbered = np.zeros(shape, np.int32)
    for number, polyp in enumerate(polyps, 1):
        numbered[rasterise((polyp,), (shape[1], shape[0])) > 0] = number
    return numbered


def _stretch(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _unit(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return pixels.astype(np.float32) / np.float32(255)


def _label(mask: NDArray[np.bool_], minimum: float = 0.0) -> NDArray[np.int32]:
    """Number the 8-connected regions of `minimum` pixels or more."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    kept = stats[:, cv2.CC_STAT_AREA] >= minimum
    kept[0] = False
    return np.asarray((np.cumsum(kept) * kept)[labels], np.int32)
