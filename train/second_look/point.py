"""The operating point of a network with a second look, on frames that this was not fitted to.

Each frame is judged by the second look that was fitted to the other folds, as a still and as a stream gives
it (`train.export.degrade`). On frames that it was fitted to, the point would trust it too much.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from train.augmentation.augment import normalise
from train.checkpoint import Checkpoint
from train.data import Frames
from train.export.operating_point import PLAIN, OperatingPoint, choose_operating_point, outcome_at
from train.networks.second_look import LooksTwice, SecondLook
from train.second_look.fit import BATCH, Look
from train.second_look.views import recorded

__all__ = ["LeftOut", "choose"]


@dataclass(frozen=True)
class LeftOut:
    """A point, and what it gives; as `train.export.judgement` tells it of a precision."""

    point: OperatingPoint
    outcomes: dict[str, dict[str, dict[str, float]]]  # stills, recorded → half, operating → figures


def choose(
    network: LooksTwice,
    base: Checkpoint,
    frames: Frames,
    folds: NDArray[np.int64],
    fits: Sequence[Look],
) -> LeftOut:
    """Choose the point on all frames, each by the second look of its fold.

    `network` is in evaluation mode and has a second look, whose weights change; `folds: (F)` are the frames'.
    Raises InputError where no frame, or each, is without a polyp.
    """
    truth = frames.masks > 0
    has_polyp = truth.any(axis=(1, 2))
    if has_polyp.all() or not has_polyp.any():
        raise InputError(
            "--data: an operating point needs val frames with a polyp and frames without one, and "
            f"{'each' if has_polyp.all() else 'none'} of the {len(frames)} shows one. Add a source"
        )
    seen: dict[str, Any] = {}
    for name, images in (("stills", frames.images), ("recorded", recorded(frames).images)):
        found = _probability(network, base, images, folds, fits)
        seen[name] = found[has_polyp], truth[has_polyp], found[~has_polyp]
    point = choose_operating_point(*(np.concatenate(parts) for parts in zip(*seen.values(), strict=True)))
    outcomes = {
        name: {
            "half": asdict(outcome_at(PLAIN, *arrays)),
            "operating": asdict(outcome_at(point, *arrays)),
        }
        for name, arrays in seen.items()
    }
    return LeftOut(point, outcomes)


@torch.no_grad()
def _probability(
    network: LooksTwice,
    base: Checkpoint,
    images: NDArray[np.uint8],
    folds: NDArray[np.int64],
    fits: Sequence[Look],
) -> NDArray[np.uint8]:
    """`images: (F, S, S, 3) uint8` RGB → (F, S, S) uint8 probability times 255, as the exported graph's."""
    look = network.second_look
    assert isinstance(look, SecondLook)
    found = np.empty(images.shape[:3], np.uint8)
    for fold, fitted in enumerate(fits):
        look.put(fitted.first, fitted.last)
        places = np.flatnonzero(folds == fold)
        for start in range(0, len(places), BATCH):
            some = places[start : start + BATCH]
            pixels = torch.from_numpy(images[some]).permute(0, 3, 1, 2).float()
            probability = torch.sigmoid(network(normalise(pixels, base.mean, base.std))[:, 0])
            found[some] = (probability * 255 + 0.5).clamp(0, 255).to(torch.uint8).numpy()
    return found
