"""Do two engines draw the same masks? Every plan has to pass, before it is built and on its card."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import EngineError
from rtpolyp.inference.engine import Engine
from rtpolyp.measure.evaluation import predict
from rtpolyp.measure.frame_score import HALF

__all__ = ["Parity", "check_parity", "compare_masks", "probabilities"]


@dataclass(frozen=True)
class Parity:
    """How far two engines' probabilities lie apart over the same frames."""

    frames: int
    levels: int  # largest difference of a pixel's probability, of 255
    dice: float  # of the two masks at 0.5, all frames' pixels together; NaN when both are empty throughout


def probabilities(engine: Engine, images: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Run images `(H, W, 3) uint8 BGR` of any size: `(F, height, width) uint8` on the network's grid."""
    return np.stack([found for _, found in predict(engine, enumerate(images))])


def compare_masks(expected: NDArray[np.uint8], found: NDArray[np.uint8]) -> Parity:
    """Compare two probability maps `(F, H, W) uint8`."""
    levels = int(np.abs(expected.astype(np.int16) - found).max())
    masks: Sequence[NDArray[np.bool_]] = expected >= HALF, found >= HALF
    outlined = np.count_nonzero(masks[0]) + np.count_nonzero(masks[1])
    shared = np.count_nonzero(masks[0] & masks[1])
    dice = float(2 * shared / outlined) if outlined else float("nan")
    return Parity(len(expected), levels, dice)


def check_parity(who: str, parity: Parity, least: float) -> None:
    """Raise EngineError where the masks' Dice is below `least`, and where there is no mask at all."""
    if np.isnan(parity.dice):
        raise EngineError(
            f"{who}: no polyp is outlined in any of {parity.frames} frames, so there is nothing to compare; "
            "give other frames, which show one"
        )
    if parity.dice < least:
        raise EngineError(
            f"{who}: masks agree with Dice {parity.dice:.4f} on {parity.frames} frames, below {least}, and "
            f"probabilities differ by up to {parity.levels}/255; choose another precision"
        )
