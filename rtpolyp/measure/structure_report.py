"""The means of what PraNet and SUN-SEG report beside Dice and IoU, and the FROC of an evaluation."""

from dataclasses import dataclass, fields

import numpy as np

from rtpolyp.measure.evaluation import Evaluation
from rtpolyp.measure.frame_score import Structure
from rtpolyp.measure.froc import FrocPoint, froc
from rtpolyp.measure.statistics import Interval, bootstrap_mean

__all__ = ["LABELS", "Mean", "froc_of", "structure_means"]

LABELS = {
    "s_measure": "S-measure",
    "weighted_f": "weighted F",
    "e_measure": "E-measure, mean of 256 thresholds",
    "sensitivity": "sensitivity, mean of 256 thresholds",
    "specificity": "specificity, mean of 256 thresholds",
}


@dataclass(frozen=True)
class Mean:
    """One figure over the frames with polyp and background."""

    mean: float
    interval: Interval | None  # 95 %, over groups; None with too few


def structure_means(evaluation: Evaluation) -> dict[str, Mean]:
    """Each field of Structure over the frames that have it; empty without any."""
    frames = [frame for frame in evaluation.frames if not np.isnan(frame.structure.s_measure)]
    if not frames:
        return {}
    groups = [frame.pair.group for frame in frames]
    means = {}
    for field in fields(Structure):
        values = [float(getattr(frame.structure, field.name)) for frame in frames]
        means[field.name] = Mean(float(np.mean(values)), bootstrap_mean(values, groups))
    return means


def froc_of(evaluation: Evaluation) -> list[FrocPoint]:
    """The curve over all frames, those without a polyp included."""
    return froc([(frame.detection.polyps, frame.candidates) for frame in evaluation.frames])
