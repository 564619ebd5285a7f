"""What a bundle's precisions are worth on validation frames, and the operating point that goes with them."""

import logging
from dataclasses import asdict
from typing import Any, TypeAlias

import numpy as np

from rtpolyp.errors import EngineError
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.engine import Engine
from rtpolyp.inference.openvino import OpenVinoEngine
from rtpolyp.inference.processor import this_processor
from rtpolyp.measure.crops import crop_images, polyp_free_crops
from rtpolyp.measure.frame_score import HALF
from rtpolyp.spec import Precision
from train.export.degrade import as_recorded
from train.export.heldout import HeldOut, dice_per_frame, probabilities
from train.export.operating_point import PLAIN, OperatingPoint, Outcome, choose_operating_point, outcome_at

__all__ = [
    "ENOUGH_FRAMES",
    "MOST_CROPS",
    "check_cost",
    "judge",
    "mean_dice",
    "point_on",
    "predict_all",
    "seen_by",
    "views_of",
]

Pictures: TypeAlias = tuple[np.ndarray, np.ndarray]  # frames and polyp-free crops, (F, H, W, 3) uint8 BGR
Judged: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]  # as choose_operating_point takes it

log = logging.getLogger(__name__)

WORDS = {"half": "at 0.5", "operating": "at the operating point"}
MOST_CROPS = 240  # polyp-free crops of validation frames
ENOUGH_FRAMES = 60  # without a polyp: crops join them where there are fewer, for whole frames are the truth
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
            f"{allowed} is allowed"
        )


def judge(
    bundle: Bundle, held_out: HeldOut, seed: int, point: OperatingPoint | None = None
) -> tuple[OperatingPoint, dict[str, Any], tuple[str, ...]]:
    """Choose the operating point unless one is given; tell what each precision gives there and at 0.5.

    The point has to hold in each precision, on the frames as they are and as a stream gives them
    (`train.export.degrade`), so it is chosen on all of these together. One chosen in FP32 alone cost 0.005
    Dice in FP32 on a test part, and 0.017 in INT8. A precision that costs more than PRECISION_COST at 0.5 has
    no say in the point and no figures; it is returned last, and a warning says what it would cost.
    """
    views = views_of(held_out, bundle.spec.size, seed)
    judged: dict[str, dict[str, Judged]] = {}
    for known in OpenVinoEngine.precisions(bundle):
        with OpenVinoEngine(bundle, known, optimise_for="throughput") as engine:
            judged[known] = seen_by(engine, views, held_out)
    left_out = _too_costly({name: _half_dice(of_views) for name, of_views in judged.items()})
    for precision in left_out:
        del judged[precision]
    point = point or point_on(*judged.values())
    masks = judged["fp32"]["stills"][0] >= HALF
    precisions: dict[str, Any] = {}
    for precision, of_views in judged.items():
        outcomes = {
            view: {"half": outcome_at(PLAIN, *arrays), "operating": outcome_at(point, *arrays)}
            for view, arrays in of_views.items()
        }
        for view, (name, outcome) in ((v, item) for v, values in outcomes.items() for item in values.items()):
            log.info("%s, %s, %s: %s", precision, view, WORDS[name], _in_words(outcome))
        precisions[precision] = {
            view: {name: asdict(outcome) for name, outcome in values.items()}
            for view, values in outcomes.items()
        }
        found = of_views["stills"][0]
        precisions[precision]["dice_by_source"] = _dice_by_source(found, held_out)
        precisions[precision]["agreement"] = float(np.nanmean(dice_per_frame(found, masks)))
    processor = this_processor()
    sets = ", ".join(name for name in INSTRUCTION_SETS if name in processor.flags)
    return (
        point,
        {
            "processor": f"{processor.name} ({sets}), {OpenVinoEngine.library()}",
            "frames": len(held_out),
            "polyp_free": _polyp_free(int(np.count_nonzero(~held_out.has_polyp)), len(views["stills"][1])),
            "precisions": precisions,
            "left_out": list(left_out),
        },
        left_out,
    )


def _half_dice(of_views: dict[str, Judged]) -> float:
    return outcome_at(PLAIN, *of_views["stills"]).dice


def _too_costly(dice: dict[str, float]) -> tuple[str, ...]:
    """The precisions that cost more than they may, each said; `dice` is by precision, FP32's among them."""
    costly = []
    for precision, of_it in dice.items():
        if precision != "fp32" and dice["fp32"] - of_it > PRECISION_COST:
            costly.append(precision)
            log.warning(
                "%s is left out: mean Dice on validation frames falls from %.4f to %.4f, %s is allowed",
                *(precision, dice["fp32"], of_it, PRECISION_COST),
            )
    return tuple(costly)


def _in_words(outcome: Outcome) -> str:
    return (
        f"Dice {outcome.dice:.4f}, {outcome.sensitivity:.1%} of polyps found, "
        f"{outcome.false_outlines:.1%} of polyp-free pictures outlined"
    )


def views_of(held_out: HeldOut, size: tuple[int, int], seed: int) -> dict[str, Pictures]:
    """The frames, and polyp-free crops of them, as stills and as a stream gives them; all at `size`."""
    with_polyp = [pair for pair, polyp in zip(held_out.pairs, held_out.has_polyp, strict=True) if polyp]
    crops = polyp_free_crops(with_polyp, min(MOST_CROPS, len(with_polyp)), seed=seed)
    rng = np.random.default_rng(seed)
    stills = held_out.frames, np.stack([resize_frame(image, size) for _, image in crop_images(crops)])
    frames, free = (np.stack([as_recorded(one, rng) for one in images]) for images in stills)
    return {"stills": stills, "recorded": (frames, free)}


def seen_by(engine: Engine, views: dict[str, Pictures], held_out: HeldOut) -> dict[str, Judged]:
    """What the engine makes of each view, as `choose_operating_point` takes it.

    The pictures without a polyp are whole frames where there are ENOUGH_FRAMES, else crops beside them.
    """
    has_polyp = held_out.has_polyp
    judged: dict[str, Judged] = {}
    for view, images in views.items():
        found, of_crops = (probabilities(engine, part) for part in images)
        whole = found[~has_polyp]
        polyp_free = whole if len(whole) >= ENOUGH_FRAMES else np.concatenate([whole, of_crops])
        judged[view] = found[has_polyp], held_out.truth[has_polyp], polyp_free
    return judged


def _polyp_free(frames: int, crops: int) -> str:
    """What the rate of false outlines is over, for a person."""
    joined = "" if frames >= ENOUGH_FRAMES else f" and {crops} crops"
    return f"{frames} whole frames without a polyp{joined}"


def point_on(*seen: dict[str, Judged]) -> OperatingPoint:
    """The operating point on all that was `seen_by` one engine or several, all views together."""
    judged = [arrays for views in seen for arrays in views.values()]
    return choose_operating_point(*(np.concatenate(parts) for parts in zip(*judged, strict=True)))


def _dice_by_source(found: np.ndarray, held_out: HeldOut) -> dict[str, float]:
    """Mean Dice of `found`, which are the frames with a polyp."""
    is_polyp = held_out.has_polyp
    dice, sources = dice_per_frame(found, held_out.truth[is_polyp]), np.array(held_out.sources)[is_polyp]
    means = {name: dice[sources == name] for name in dict.fromkeys(held_out.sources)}
    return {name: float(values.mean()) for name, values in means.items() if len(values)}
