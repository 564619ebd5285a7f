"""`python -m train.second_look`: teach a trained network to tell which of its outlines are polyps.

The network stays as it is. A logistic regression on the means of its features over each outline is fitted to
whether the outline meets a polyp; being linear, it is a 1×1 convolution of each feature map, see
`train.networks.second_look`. The outlines are those on validation frames: on what it was trained on, a
network finds polyps that it remembers, and what tells these from mistakes does not hold elsewhere.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
from cyclopts import App, Parameter
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from rtpolyp.errors import InputError
from train.augmentation.augment import normalise
from train.checkpoint import SECOND_LOOK, Checkpoint, load_network, save_checkpoint
from train.command_line import run_command_line
from train.data import Frames, load_frames, parse_source
from train.initial import load_initial
from train.leaks import check_unseen
from train.networks.pranet import PraNetIF

__all__ = ["Fit", "Outlines", "fit", "outlines_of"]

POLYP, NO_POLYP = 0.3, 0.1  # IoU with a polyp: at least, and below; what lies between teaches nothing
SMALLEST = 0.0005  # of the frame's pixels: what is smaller is left out
PENALTIES = (0.1, 0.03, 0.01, 0.003, 0.001)  # of the squared weights of standardised features
FOLDS = 5  # of groups, by which a penalty is chosen and the printed figures are made
KEPT = 0.95  # of the polyps' outlines, in the printed figures
BATCH = 16  # frames at a time

app = App(
    name="python -m train.second_look", help=__doc__, version_flags=(), suppress_keyboard_interrupt=False
)


@dataclass(frozen=True)
class Outlines:
    """What a network outlines at 0.5, and which of it is a polyp."""

    features: NDArray[np.float32]  # (K, D): means over each outline, of all maps together
    confidence: NDArray[np.float32]  # (K) mean probability
    is_polyp: NDArray[np.bool_]  # (K)
    fold: NDArray[np.int64]  # (K) 0 … FOLDS - 1; outlines of one group share it


@dataclass(frozen=True)
class Fit:
    """A second look's weights, and what it says of outlines that it was not fitted to."""

    weight: torch.Tensor  # (D)
    bias: torch.Tensor  # (1)
    presence: NDArray[np.float64]  # (K): each from a fit to the other folds


@app.default
def main(
    checkpoint: str,
    /,
    *,
    data: Annotated[list[str], Parameter(consume_multiple=False)],
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    size: int = 288,
) -> None:
    """Fit a second look to a checkpoint's outlines on validation frames; its other weights stay.

    Parameters
    ----------
    checkpoint
        best.pt of a run of pranet-if, or a bundle: a folder, or the name of a shipped one.
    data
        DIR[:SPLIT], repeatable: data sets to whose val parts it is fitted. They count as training frames from
        then on.
    out
        Checkpoint to write, which `python -m train.export` takes.
    size
        Side of the frames in pixels, a multiple of 32.
    """
    base = load_initial(checkpoint)
    network = load_network(base)
    if not isinstance(network, PraNetIF):
        raise InputError(f"{checkpoint}: {base.spec.name} has no second look. Give a checkpoint of pranet-if")
    sources = [parse_source(text) for text in data]
    check_unseen(sources, base.seen, checkpoint)
    frames = load_frames(sources, "val", size, picture_crop=base.recipe.picture_crop)
    groups = [f"{source.name} {pair.group}" for source in sources for pair in source.pairs("val")]
    outlines = outlines_of(network, base, frames, groups)
    fitted = fit(outlines)
    look = network.add_second_look()
    look.put(fitted.weight, fitted.bias)
    print(_described(outlines, fitted))
    weights = base.ema | {SECOND_LOOK + name: weight for name, weight in look.state_dict().items()}
    earlier = tuple(dict.fromkeys((*base.earlier, *frames.files)))
    save_checkpoint(out, replace(base, ema=weights, earlier=earlier, model=None, optimiser=None, scaler=None))


def outlines_of(network: PraNetIF, base: Checkpoint, frames: Frames, groups: Sequence[str]) -> Outlines:
    """What the network, in evaluation mode, outlines on the frames, whose `groups` are in their order."""
    places = {group: place % FOLDS for place, group in enumerate(dict.fromkeys(groups))}
    found = []
    for start in range(0, len(frames), BATCH):
        some = slice(start, start + BATCH)
        images = torch.from_numpy(frames.images[some]).permute(0, 3, 1, 2).float()
        for index, *outline in _outlines(network, normalise(images, base.mean, base.std), frames.masks[some]):
            found.append((*outline, places[groups[start + index]]))
    features, confidence, is_polyp, fold = zip(*found, strict=True) if found else ((), (), (), ())
    return Outlines(
        np.array(features, np.float32),
        np.array(confidence, np.float32),
        np.array(is_polyp, bool),
        np.array(fold, np.int64),
    )


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
    left_out = {penalty: _left_out(features, is_polyp, outlines.fold, penalty) for penalty in PENALTIES}
    best = min(PENALTIES, key=lambda penalty: _balanced(left_out[penalty], is_polyp).item())
    weight, bias = _fitted(features, is_polyp, best)
    return Fit(weight, bias, torch.sigmoid(left_out[best]).double().numpy())


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
) -> torch.Tensor:
    """(K) presence logits, each from a fit to the other folds."""
    logits = torch.zeros(len(features))
    for one in range(FOLDS):
        others = torch.from_numpy(fold != one)
        weight, bias = _fitted(features[others], is_polyp[others], penalty)
        logits[~others] = features[~others] @ weight + bias
    return logits


def _fitted(
    features: torch.Tensor, is_polyp: torch.Tensor, penalty: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (D) and bias (1) of a logistic regression in which both kinds weigh alike."""
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
    return raw, (bias - mean @ raw).detach()


def _balanced(logits: torch.Tensor, is_polyp: torch.Tensor) -> torch.Tensor:
    """Cross entropy, the mean of that of the polyps' and that of the others."""
    losses = F.binary_cross_entropy_with_logits(logits, is_polyp.float(), reduction="none")
    return (losses[is_polyp].mean() + losses[~is_polyp].mean()) / 2


def _described(outlines: Outlines, fitted: Fit) -> str:
    """How many outlines of no polyp stay where KEPT of the polyps' do, without and with the second look."""
    is_polyp = outlines.is_polyp
    left = []
    for confidence in (outlines.confidence, (outlines.confidence - 0.5) * fitted.presence):
        least = np.quantile(confidence[is_polyp], 1 - KEPT)
        left.append(float(np.mean(confidence[~is_polyp] >= least)))
    return (
        f"{len(is_polyp)} outlines on validation frames, {is_polyp.sum()} of polyps. Where {KEPT:.0%} of "
        f"these stay, so do {left[0]:.1%} of the others by their mean probability, and {left[1]:.1%} with a "
        "second look that was fitted to other groups"
    )


if __name__ == "__main__":
    sys.exit(run_command_line(app, sys.argv[1:]))
