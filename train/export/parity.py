"""Do PyTorch, ONNX Runtime and OpenVINO compute the same picture? Every export has to pass.

The reference is the network as it was trained – RGB, normalised, nothing folded – so that channel order,
normalisation, borders, batch norm and fusion folding are all under test at once.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from rtpolyp.errors import EngineError
from rtpolyp.measure.frame_score import HALF
from train.augmentation.augment import normalise
from train.encoders.encoder import encoder_of

__all__ = ["EXACT", "HALF_WEIGHTS", "Difference", "Tolerance", "check", "compare", "reference"]

BATCH = 8  # frames through PyTorch at once


@dataclass(frozen=True)
class Difference:
    """How far two backends' probabilities lie apart."""

    levels: int  # largest difference of a pixel's probability, of 255
    flipped: float  # share of pixels on another side of 0.5


@dataclass(frozen=True)
class Tolerance(Difference):
    """The largest Difference that passes."""


# The same arithmetic in another order: FP32 sums differ in the seventh digit, so a probability that lies
# between two levels is rounded to either.
EXACT = Tolerance(levels=1, flipped=1e-4)
# Weights rounded to FP16's 11 bits: 5 levels and 0.005 % on the first trained network, 11 and 0.04 % on an
# almost untrained one.
HALF_WEIGHTS = Tolerance(levels=16, flipped=5e-4)


@torch.inference_mode()
def reference(network: nn.Module, frames: np.ndarray) -> np.ndarray:
    """PyTorch's own probability: `frames: (F, H, W, 3) uint8 BGR` → `(F, H, W) uint8`, on its own device."""
    network = network.eval()
    device = next(network.parameters()).device
    found = []
    for start in range(0, len(frames), BATCH):
        rgb = np.ascontiguousarray(frames[start : start + BATCH, ..., ::-1])
        images = torch.from_numpy(rgb).to(device).permute(0, 3, 1, 2).float()
        logits = network(normalise(images, encoder_of(network).mean, encoder_of(network).std))
        found.append((torch.sigmoid(logits[:, 0]) * 255 + 0.5).to(torch.uint8).cpu().numpy())
    return np.concatenate(found)


def compare(expected: np.ndarray, found: np.ndarray) -> Difference:
    """Difference of two probability maps `(F, H, W) uint8`."""
    levels = np.abs(expected.astype(np.int16) - found).max()
    flipped = ((expected >= HALF) != (found >= HALF)).mean()
    return Difference(int(levels), float(flipped))


def check(who: str, expected: np.ndarray, found: np.ndarray, tolerance: Tolerance) -> Difference:
    """Compare, and raise EngineError that names the backend and both figures if they are too far apart."""
    difference = compare(expected, found)
    if difference.levels > tolerance.levels or difference.flipped > tolerance.flipped:
        raise EngineError(
            f"{who}: differs from PyTorch by up to {difference.levels}/255, not {tolerance.levels}, and "
            f"flips {difference.flipped:.3%} of pixels, not {tolerance.flipped:.3%}"
        )
    return difference
