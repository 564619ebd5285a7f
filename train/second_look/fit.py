"""A small network on the means of another's features inside and around each of its outlines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from rtpolyp.errors import InputError
from train.augmentation.augment import normalise
from train.checkpoint import Checkpoint
from train.data import Frames
from train.networks.second_look import HIDDEN, RING, LooksTwice

__all__ = [
    "BATCH",
    "EVERY",
    "FOLDS",
    "Fit",
    "Look",
    "Outlines",
    "fit",
    "fitted",
    "folds_of",
    "joined",
    "outlines_of",
]

POLYP, NO_POLYP = 0.3, 0.1  # IoU with a polyp: at least, and below; what lies between teaches nothing
SMALLEST = 0.0005  # of the frame's pixels: what is smaller is left out
FOLDS = 5  # of groups
EVERY = -1  # the fold of what all are fitted to, and none is judged by
BATCH = 16  # frames at a time

EPOCHS, OUTLINES, RATE, DECAY, DROPPED = 30, 128, 2e-3, 0.3, 0.3  # of the fit; DROPPED of inputs and units
SEED = 0


@dataclass(frozen=True)
class Outlines:
    """What a network outlines at 0.5, and which of it is a polyp."""

    features: NDArray[np.float32]  # (K, 2 D): means of all maps together, inside and around each outline
    confidence: NDArray[np.float32]  # (K) mean probability
    is_polyp: NDArray[np.bool_]  # (K)
    fold: NDArray[np.int64]  # (K) 0 … FOLDS - 1, or EVERY; outlines of one group share it


class Look(nn.Module):
    """What `train.networks.second_look.SecondLook.put` takes: two layers, on features as they are."""

    def __init__(self, width: int):
        super().__init__()
        self.first, self.last = nn.Linear(width, HIDDEN), nn.Linear(HIDDEN, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (K, 2 D) → presence logits (K)."""
        logits: torch.Tensor = self.last(F.relu(self.first(features)))[:, 0]
        return logits


@dataclass(frozen=True)
class Fit:
    """A second look, and those that know a fold's outlines from the other folds' alone."""

    whole: Look
    left_out: tuple[Look, ...]  # by fold: each fitted to the other folds
    presence: NDArray[np.float64]  # (K): of each outline, by the one that was not fitted to it; else NaN


def folds_of(groups: Sequence[str]) -> NDArray[np.int64]:
    """Fold (F), 0 … FOLDS - 1, of each frame; frames of one of the `groups` share it."""
    places = {group: place % FOLDS for place, group in enumerate(dict.fromkeys(groups))}
    return np.array([places[group] for group in groups], np.int64)


def outlines_of(network: LooksTwice, base: Checkpoint, frames: Frames, folds: NDArray[np.int64]) -> Outlines:
    """What the network, in evaluation mode, outlines on the frames, whose `folds` (F) are in their order."""
    found = []
    for start in range(0, len(frames), BATCH):
        some = slice(start, start + BATCH)
        images = torch.from_numpy(frames.images[some]).permute(0, 3, 1, 2).float()
        for index, *outline in _outlines(network, normalise(images, base.mean, base.std), frames.masks[some]):
            found.append((*outline, folds[start + index]))
    features, confidence, is_polyp, fold = zip(*found, strict=True) if found else ((), (), (), ())
    return Outlines(
        np.array(features, np.float32),
        np.array(confidence, np.float32),
        np.array(is_polyp, bool),
        np.array(fold, np.int64),
    )


def joined(parts: Sequence[Outlines]) -> Outlines:
    """Those of several views of some frames. Raises InputError where there are none."""
    parts = [part for part in parts if len(part.is_polyp)]
    if not parts:
        raise InputError(
            "--data: the network outlines nothing on the val parts. Train it longer, or give more"
        )
    features, confidence, is_polyp, fold = (
        np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Outlines)
    )
    return Outlines(features, confidence, is_polyp, fold)


def fit(outlines: Outlines) -> Fit:
    """Fit to all outlines, and to those of all folds but one.

    Raises InputError where the outlines of some folds are all polyps, or none.
    """
    others = [outlines.fold != fold for fold in range(FOLDS)]
    if any(len(set(outlines.is_polyp[some].tolist())) < 2 for some in others):
        raise InputError(
            f"--data: the {len(outlines.is_polyp)} outlines on the val parts are too few or all of one "
            "kind. Give more frames with polyps, and without"
        )
    features, is_polyp = torch.from_numpy(outlines.features), torch.from_numpy(outlines.is_polyp)
    whole = fitted(features, is_polyp)
    left_out = tuple(fitted(features[some], is_polyp[some]) for some in others)
    presence = np.full(len(features), np.nan)
    with torch.no_grad():
        for fold, look in enumerate(left_out):
            inside = outlines.fold == fold
            presence[inside] = torch.sigmoid(look(features[inside])).numpy()
    return Fit(whole, left_out, presence)


@torch.no_grad()
def _outlines(
    network: LooksTwice, images: torch.Tensor, masks: NDArray[np.uint8]
) -> Iterator[tuple[int, NDArray[np.float32], float, bool]]:
    """Index of the frame, features, mean probability, and whether it is a polyp, of each outline."""
    logits, maps = network.evidence(images)
    probability = torch.sigmoid(logits)[:, 0].numpy()
    for index, (found, mask) in enumerate(zip(probability, masks, strict=True)):
        count, labels, stats, _ = cv2.connectedComponentsWithStats((found >= 0.5).astype(np.uint8))
        polyps, truth = cv2.connectedComponents((mask > 0).astype(np.uint8))
        for label in range(1, count):
            inside = labels == label
            overlap = max((_iou(inside, truth == polyp) for polyp in range(1, polyps)), default=0.0)
            if stats[label, cv2.CC_STAT_AREA] < SMALLEST * found.size or NO_POLYP <= overlap < POLYP:
                continue
            features = np.concatenate(_means([one[index] for one in maps], inside))
            yield index, features, float(found[inside].mean()), overlap >= POLYP


def _iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(np.count_nonzero(one & other) / np.count_nonzero(one | other))


def _means(maps: Sequence[torch.Tensor], inside: NDArray[np.bool_]) -> list[NDArray[np.float32]]:
    """Means of maps (C, h, w), the finest first, inside an outline of the full frame and then around it, by
    the share of each cell that belongs there."""
    reach = 2 * RING * inside.shape[1] // maps[0].shape[2] + 1
    near = cv2.dilate(inside.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    means = []
    for part in (inside, near & ~inside):
        for one in maps:
            cover = F.interpolate(torch.from_numpy(part)[None, None].float(), one.shape[1:], mode="area")[0]
            means.append(((one * cover).sum((1, 2)) / cover.sum().clamp(min=1e-3)).numpy())
    return means


def fitted(features: torch.Tensor, is_polyp: torch.Tensor) -> Look:
    """A network of one hidden layer in which both kinds weigh alike; the same each time."""
    mean, spread = features.mean(0), features.std(0).clamp(min=1e-6)
    standard, truth = (features - mean) / spread, is_polyp.float()
    weight = torch.where(is_polyp, 0.5 / truth.mean(), 0.5 / (1 - truth).mean())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        look = Look(features.shape[1])
        optimiser = torch.optim.AdamW(look.parameters(), lr=RATE, weight_decay=DECAY)
        for _ in range(EPOCHS):
            for some in torch.randperm(len(standard)).split(OUTLINES):
                hidden = F.dropout(F.relu(look.first(F.dropout(standard[some], DROPPED))), DROPPED)
                loss = F.binary_cross_entropy_with_logits(
                    look.last(hidden)[:, 0], truth[some], weight=weight[some]
                )
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    with torch.no_grad():
        look.first.weight.div_(spread)
        look.first.bias.sub_(look.first.weight @ mean)
    return look.eval()
