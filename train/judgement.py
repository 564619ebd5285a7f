"""What a bundle's precisions are worth on validation frames, and the operating point that goes with them."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

import numpy as np

from rtpolyp.errors import EngineError
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.openvino import OpenVinoEngine
from rtpolyp.inference.processor import this_processor
from rtpolyp.measure.crops import Crop, polyp_free_crops
from rtpolyp.measure.evaluation import read_pair
from rtpolyp.spec import Precision
from train.heldout import HeldOut, dice_per_frame, probabilities
from train.operating_point import PLAIN, OperatingPoint, choose_operating_point, outcome_at

__all__ = ["check_cost", "judge", "mean_dice", "predict_all"]

log = logging.getLogger(__name__)

MOST_CROPS = 240  # polyp-free crops of validation frames, beside the frames without a polyp
PRECISION_COST = 0.003  # mean Dice that bf16 or INT8 may cost against FP32
# What decides how INT8 and bf16 are computed: a figure without it is worth nothing on another processor.
INSTRUCTION_SETS = ("amx_int8", "amx_bf16", "avx512_vnni", "avx512_bf16", "avx_vnni", "avx2", "asimddp")


def predict_all(bundle: Bundle, precision: Precision, held_out: HeldOut) -> np.ndarray:
    """Probability `(F, H, W) uint8` of all frames, by OpenVINO."""
    with OpenVinoEngine(bundle, precision, optimise_for="throughput") as engine:
        return probabilities(engine, held_out.frames)


def mean_dice(found: np.ndarray, held_out: HeldOut) -> float:
    """Dice at 0.5 on the network's grid, mean over the frames with a polyp."""
    return float(np.nanmean(dice_per_frame(found, held_out.truth)))


def check_cost(what: str, before: float, after: float, allowed: float) -> None:
    """Raise EngineError if mean Dice falls by more than `allowed`."""
    if before - after > allowed:
        raise EngineError(
            f"{what}: mean Dice on validation frames falls from {before:.4f} to {after:.4f}, "
            f"{allowed} is allowed: nothing is published"
        )


def judge(bundle: Bundle, held_out: HeldOut, seed: int) -> tuple[OperatingPoint, dict[str, Any]]:
    """Choose the operating point in FP32; tell what each precision of this machine gives there and at 0.5.

    Raises EngineError for a precision that costs more than PRECISION_COST.
    """
    has_polyp = held_out.has_polyp
    with_polyp = [pair for pair, polyp in zip(held_out.pairs, has_polyp, strict=True) if polyp]
    crops = polyp_free_crops(with_polyp, min(MOST_CROPS, len(with_polyp)), seed=seed)
    point, precisions = PLAIN, {}
    for precision in OpenVinoEngine.precisions(bundle):
        found = predict_all(bundle, precision, held_out)
        with OpenVinoEngine(bundle, precision, optimise_for="throughput") as engine:
            polyp_free = np.concatenate([found[~has_polyp], probabilities(engine, _images(crops))])
        judged = found[has_polyp], held_out.truth[has_polyp], polyp_free
        if precision == "fp32":
            point = choose_operating_point(*judged)
        half, operating = outcome_at(PLAIN, *judged), outcome_at(point, *judged)
        log.info("%s at 0.5: %s", precision, half)
        log.info("%s at %s: %s", precision, point, operating)
        precisions[precision] = {
            "half": asdict(half),
            "operating": asdict(operating),
            "dice_by_source": _dice_by_source(found, held_out),
        }
        check_cost(precision, precisions["fp32"]["half"]["dice"], half.dice, PRECISION_COST)
    processor = this_processor()
    sets = ", ".join(name for name in INSTRUCTION_SETS if name in processor.flags)
    return point, {
        "processor": f"{processor.name} ({sets}), {OpenVinoEngine.library()}",
        "frames": len(held_out),
        "polyp_free": f"{np.count_nonzero(~has_polyp)} frames without a polyp and {len(crops)} crops",
        "precisions": precisions,
    }


def _dice_by_source(found: np.ndarray, held_out: HeldOut) -> dict[str, float]:
    dice, sources = dice_per_frame(found, held_out.truth), np.array(held_out.sources)
    means = {name: dice[(sources == name) & held_out.has_polyp] for name in dict.fromkeys(held_out.sources)}
    return {name: float(values.mean()) for name, values in means.items() if len(values)}


def _images(crops: Sequence[Crop]) -> Iterator[np.ndarray]:
    """The crops' pixels `(h, w, 3) uint8 BGR`; crops of one frame follow each other, which is read once."""
    for pair, of_frame in groupby(crops, key=lambda crop: crop.pair):
        image, _ = read_pair(pair)
        for rect in (crop.rect for crop in of_frame):
            yield image[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]
