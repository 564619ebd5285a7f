"""A logistic regression on the means of a network's features over each of its outlines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

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
from train.networks.pranet import PraNetIF

__all__ = [
    "BATCH", "FOLDS", "Fit", "Outlines", "Weights", "fit", "folds_of", "joined", "mirrored", "outlines_of",
]  # fmt: skip

POLYP, NO_POLYP = 0.3, 0.1  # IoU with a polyp: at least, and below; what lies between teaches nothing
SMALLEST = 0.0005  # of the frame's pixels: what is smaller is left out
PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)  # of the squared weights of standardised features
FOLDS = 5  # of groups, by which a penalty and the operating point are chosen
BATCH = 16  # frames at a time


@dataclass(frozen=True)
class Outlines:
    """What a network outlines at 0.5, and which of it is a polyp."""

    features: NDArray[np.float32]  # (K, D): means over each outline, of all maps together
    confidence: NDArray[np.float32]  # (K) mean probability
    is_polyp: NDArray[np.bool_]  # (K)
    fold: NDArray[np.int64]  # (K) 0 … FOLDS - 1; outlines of one group share it


@dataclass(frozen=True)
class Weights:
    """What `train.networks.second_look.SecondLook.put` takes."""

    weight: torch.Tensor  # (D)
    bias: torch.Tensor  # (1)

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Features (K, D) → presence logits (K)."""
        return features @ self.weight + self.bias


@dataclass(frozen=True)
class Fit:
    """A second look, and those that know a fold's outlines from the other folds' alone."""

    whole: Weights
    left_out: tuple[Weights, ...]  # FOLDS: each fitted to the other folds
    presence: NDArray[np.float64]  # (K): of each outline, by the one that was not fitted to it


def folds_of(groups: Sequence[str]) -> NDArray[np.int64]:
    """Fold (F), 0 … FOLDS - 1, of each frame; frames of one of the `groups` share it."""
    places = {group: place % FOLDS for place, group in enumerate(dict.fromkeys(groups))}
    return np.array([places[group] for group in groups], np.int64)


def outlines_of(network: PraNetIF, base: Checkpoint, frames: Frames, folds: NDArray[np.int64]) -> Outlines:
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
    """Those of several views of the same frames."""
    features, confidence, is_polyp, fold = (
        np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Outlines)
    )
    return Outlines(features, confidence, is_polyp, fold)


def mirrored(frames: Frames) -> Frames:
    """The frames as a mirror shows them, left for right."""
    return replace(frames, images=frames.images[:, :, ::-1].copy(), masks=frames.masks[:, :, ::-1].copy())


def fit(outlines: Outlines) -> Fit:
    """The fit to all outlines, by the penalty whose loss on left-out folds is lowest.

    Raises InputError where the outlines of some folds are all polyps, or none.
    """
    for fold in range(FOLDS):
        if len(set(outlines.is_polyp[outlines.fold != fold].tolist())) < 2:
            raise InputError(
                f"--data: the {len(outlines.is_polyp)} outlines on the val parts are too few or all of one "
                "kind. Give more frames with polyps, and without"
            )
    features, is_polyp = torch.from_numpy(outlines.features), torch.from_numpy(outlines.is_polyp)
    fits = {penalty: _left_out(features, is_polyp, outlines.fold, penalty) for penalty in PENALTIES}
    logits = {penalty: _by_others(features, outlines.fold, fitted) for penalty, fitted in fits.items()}
    best = min(PENALTIES, key=lambda penalty: _balanced(logits[penalty], is_polyp).item())
    whole = _fitted(features, is_polyp, best)
    return Fit(whole, fits[best], torch.sigmoid(logits[best]).double().numpy())


@torch.no_grad()
def _outlines(
    network: PraNetIF, images: torch.Tensor, masks: NDArray[np.uint8]
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
            features = np.concatenate([_mean_inside(one[index], inside) for one in maps])
            yield index, features, float(found[inside].mean()), overlap >= POLYP


def _iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(np.count_nonzero(one & other) / np.count_nonzero(one | other))


def _mean_inside(features: torch.Tensor, inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(C, h, w) → (C) means over an outline of the full frame, by the share of each cell that it covers."""
    cover = F.interpolate(torch.from_numpy(inside)[None, None].float(), features.shape[1:], mode="area")[0]
    mean: NDArray[np.float32] = ((features * cover).sum((1, 2)) / cover.sum()).numpy()
    return mean


def _left_out(
    features: torch.Tensor, is_polyp: torch.Tensor, fold: NDArray[np.int64], penalty: float
) -> tuple[Weights, ...]:
    """For each fold, the fit to all others."""
    others = (torch.from_numpy(fold != one) for one in range(FOLDS))
    return tuple(_fitted(features[some], is_polyp[some], penalty) for some in others)


def _by_others(features: torch.Tensor, fold: NDArray[np.int64], fits: Sequence[Weights]) -> torch.Tensor:
    """(K) presence logits, each from the fit to the other folds."""
    logits = torch.zeros(len(features))
    for one, fitted in enumerate(fits):
        inside = torch.from_numpy(fold == one)
        logits[inside] = fitted.logits(features[inside])
    return logits


def _fitted(features: torch.Tensor, is_polyp: torch.Tensor, penalty: float) -> Weights:
    """A logistic regression in which both kinds weigh alike."""
    mean, spread = features.mean(0), features.std(0).clamp(min=1e-6)
    standard = (features - mean) / spread
    weight, bias = nn.Parameter(torch.zeros(features.shape[1])), nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def step() -> torch.Tensor:
        optimiser.zero_grad()
        loss = _balanced(standard @ weight + bias, is_polyp) + penalty * (weight**2).sum() / 2
        loss.backward()
        return loss

    optimiser.step(step)
    raw = (weight / spread).detach()
    return Weights(raw, (bias - mean @ raw).detach())


def _balanced(logits: torch.Tensor, is_polyp: torch.Tensor) -> torch.Tensor:
    """Cross entropy, the mean of that of the polyps' and that of the others."""
    losses = F.binary_cross_entropy_with_logits(logits, is_polyp.float(), reduction="none")
    return (losses[is_polyp].mean() + losses[~is_polyp].mean()) / 2
