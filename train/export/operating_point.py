"""The operating point: which threshold and filters turn probabilities into outlines.

A network at 0.5 outlines something in most polyp-free frames, and clinicians switch such a system off. So
the point is the one with the fewest false outlines on validation data that gives up almost no polyp.
"""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np

from rtpolyp.imaging.postprocess import threshold_level
from rtpolyp.measure.frame_score import SPECK
from rtpolyp.measure.metrics import MATCH_IOU

__all__ = ["PLAIN", "OperatingPoint", "Outcome", "choose_operating_point", "outcome_at"]

THRESHOLDS = (0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
MINIMUM_AREAS = (0.0, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01)  # of the picture
DOUBTED = (0.504, 0.508, 0.512, 0.516)  # a level of a byte apart: a second look leaves what it doubts there
MINIMUM_CONFIDENCES = (0.0, *DOUBTED, *(percent / 100 for percent in range(52, 98, 2)))

KEPT_SENSITIVITY = 0.95  # of the sensitivity at 0.5 without filters


@dataclass(frozen=True)
class OperatingPoint:
    """What `rtpolyp.settings.Settings` takes from a bundle's spec."""

    threshold: float  # probability in (0, 1) from which a pixel is polyp
    minimum_area: float = 0.0  # fraction of the network's picture
    minimum_confidence: float = 0.0  # mean probability of a region


PLAIN = OperatingPoint(0.5)


@dataclass(frozen=True)
class Outcome:
    """What a point gives, on the network's grid."""

    sensitivity: float  # share of polyps that some region meets with IoU ≥ MATCH_IOU
    dice: float  # per frame with a polyp, mean
    false_outlines: float  # share of polyp-free pictures with any region


@dataclass(frozen=True)
class _Regions:
    """All connected regions of some pictures at one threshold, before filtering, as one table."""

    picture: np.ndarray  # (R,) which picture
    area: np.ndarray  # (R,) pixels
    confidence: np.ndarray  # (R,) mean probability, 0–1
    common: np.ndarray  # (R,) pixels that are polyp
    matches: np.ndarray  # (M, 2) region and polyp with IoU ≥ MATCH_IOU
    polyps: int  # in all pictures
    truth: np.ndarray  # (F,) polyp pixels of each picture
    size: int  # pixels of a picture


def choose_operating_point(
    probability: np.ndarray, truth: np.ndarray, polyp_free: np.ndarray
) -> OperatingPoint:
    """The point with the fewest false outlines that finds almost all of the polyps.

    `probability: (F, H, W) uint8` and `truth: (F, H, W) bool` are frames with a polyp each, `polyp_free:
    (G, H, W) uint8` is what the network says on pictures without one. The point keeps KEPT_SENSITIVITY of the
    sensitivity at 0.5. Between equals, the one with more Dice wins.
    """
    at_half = outcome_at(PLAIN, probability, truth, polyp_free)
    best, best_outcome = PLAIN, at_half
    for threshold in THRESHOLDS:
        frames, free = _regions(threshold, probability, truth), _regions(threshold, polyp_free)
        for area, confidence in itertools.product(MINIMUM_AREAS, MINIMUM_CONFIDENCES):
            point = OperatingPoint(threshold, area, confidence)
            outcome = _outcome(point, frames, free)
            if outcome.sensitivity >= KEPT_SENSITIVITY * at_half.sensitivity and _rank(outcome) > _rank(
                best_outcome
            ):
                best, best_outcome = point, outcome
    return best


def outcome_at(
    point: OperatingPoint, probability: np.ndarray, truth: np.ndarray, polyp_free: np.ndarray
) -> Outcome:
    """What `point` gives; arrays as for `choose_operating_point`."""
    frames = _regions(point.threshold, probability, truth)
    return _outcome(point, frames, _regions(point.threshold, polyp_free))


def _rank(outcome: Outcome) -> tuple[float, float]:
    return -outcome.false_outlines, outcome.dice


def _outcome(point: OperatingPoint, frames: _Regions, polyp_free: _Regions) -> Outcome:
    kept = _kept(frames, point)
    found = np.unique(frames.matches[kept[frames.matches[:, 0]], 1])
    predicted, common = _per_picture(frames, kept * frames.area), _per_picture(frames, kept * frames.common)
    outlined = _per_picture(polyp_free, _kept(polyp_free, point)) > 0
    return Outcome(
        sensitivity=len(found) / frames.polyps,
        dice=float((2 * common / (predicted + frames.truth)).mean()),
        false_outlines=float(outlined.mean()),
    )


def _kept(regions: _Regions, point: OperatingPoint) -> np.ndarray:
    """(R,) bool, by the rules of `rtpolyp.imaging.postprocess.find_polyps`."""
    is_large = regions.area >= point.minimum_area * regions.size
    return is_large & (regions.confidence >= point.minimum_confidence)


def _per_picture(regions: _Regions, values: np.ndarray) -> np.ndarray:
    return np.bincount(regions.picture, weights=values, minlength=len(regions.truth))


def _regions(threshold: float, probability: np.ndarray, truth: np.ndarray | None = None) -> _Regions:
    """Regions of `probability: (F, H, W) uint8` against `truth: (F, H, W) bool`, or against nothing."""
    if truth is None:
        truth = np.zeros(probability.shape, bool)
    level, size = threshold_level(threshold), truth[0].size
    columns: dict[str, list[np.ndarray]] = {
        name: [] for name in ("picture", "area", "confidence", "common", "matches")
    }
    found, polyps = 0, 0
    for index, (values, polyp) in enumerate(zip(probability, truth, strict=True)):
        regions, region_of, region_areas = _label(values >= level)
        polyps_here, polyp_of, polyp_areas = _label(polyp, smallest=SPECK * size)
        pairs = np.bincount(
            (region_of * (polyps_here + 1) + polyp_of).ravel(), minlength=(regions + 1) * (polyps_here + 1)
        ).reshape(regions + 1, polyps_here + 1)[1:, 1:]
        iou = pairs / (region_areas[:, None] + polyp_areas[None] - pairs)
        columns["matches"].append(np.argwhere(iou >= MATCH_IOU) + np.array([found, polyps]))
        sums = np.bincount(region_of.ravel(), weights=values.ravel(), minlength=regions + 1)[1:]
        columns["picture"].append(np.full(regions, index))
        columns["area"].append(region_areas)
        columns["confidence"].append(sums / (255 * region_areas))
        columns["common"].append(np.bincount(region_of[polyp], minlength=regions + 1)[1:])
        found += regions
        polyps += polyps_here
    joined = {name: np.concatenate(column) for name, column in columns.items()}
    return _Regions(**joined, polyps=polyps, truth=truth.sum(axis=(1, 2)), size=size)


def _label(mask: np.ndarray, smallest: float = 0.0) -> tuple[int, np.ndarray, np.ndarray]:
    """Count, map `(H, W)` from 1 up, and areas of the 8-connected regions of at least `smallest` pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    is_kept = stats[:, cv2.CC_STAT_AREA] >= smallest
    is_kept[0] = False
    renumbered = np.cumsum(is_kept) * is_kept
    return int(is_kept.sum()), renumbered[labels], stats[is_kept, cv2.CC_STAT_AREA]
