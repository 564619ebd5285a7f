"""What information fusion has learned: how much each stage weighs in the logit map.

Fusion is a sum. Stage i, refined to features f_i, adds w · P_i f_i to the logits, where P_i is its 1×1
projection and w the 1×1 that follows the sum. So the stage's learned weight is the vector w P_i, one number a
channel, and what it adds on an image can be computed apart.

What this tells: which strides the trained network draws its logits from, on weights alone or on images. What
it does not: why one image was segmented as it was, or how good the network would be without a stage; stages
are trained together and may correct each other, then both add much and their sum little. The norm of a weight
says little alone, since features differ in scale; what a stage adds on images accounts for that.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn import functional as F

from rtpolyp.errors import InputError
from train.augmentation.augment import normalise
from train.checkpoint import Checkpoint
from train.data import Source, load_frames
from train.networks.fusion import InformationFusion
from train.networks.layers import resize_like

__all__ = ["Explanation", "Stage", "explain", "load_images"]

BATCH = 8  # images
SIDE = 64  # pixels of the blank image that tells the stages' strides; every network takes it


@dataclass(frozen=True)
class Stage:
    """One branch of the fusion."""

    stride: int  # input pixels a feature
    channels: int
    norm: float  # ‖w P_i‖₂
    share: float  # of the stages' norms
    added: float | None  # mean |logits added| over the images' pixels; None without images


@dataclass(frozen=True)
class Explanation:
    """All branches, finest first, and what the network adds to their sum."""

    stages: tuple[Stage, ...]
    beside: float | None  # mean |logits added| past the fusion: PraNet's coarse map S_g, 0 in other networks


def explain(network: nn.Module, batches: Iterable[torch.Tensor] = ()) -> Explanation:
    """Explain the fusion of `network`, which is in evaluation mode.

    `batches` of normalised RGB `(N, 3, H, W) float32` show what each stage adds; without, its weights alone
    are looked at. Raises InputError where the network has no fusion.
    """
    fusion = getattr(network, "fusion", None)
    if not isinstance(fusion, InformationFusion):
        raise InputError(
            f"{type(network).__name__} has no information fusion. Give a network that ends in -if"
        )
    with torch.inference_mode():
        norms = [_weight(fusion, index).norm().item() for index in range(len(fusion.project))]
        blank, _, _ = _run(network, fusion, torch.zeros(1, 3, SIDE, SIDE))
        totals, count = torch.zeros(len(norms) + 1, dtype=torch.float64), 0  # the last one: beside the fusion
        for images in batches:
            stages, fused, logits = _run(network, fusion, images)
            maps = [resize_like(_logits_of(fusion, i, stage), fused) for i, stage in enumerate(stages)]
            maps.append(logits - resize_like(fused, logits))
            totals += len(images) * torch.stack([each.abs().mean() for each in maps])
            count += len(images)
    *added, beside = (totals / count).tolist() if count else [None] * len(totals)
    return Explanation(
        tuple(
            Stage(SIDE // stage.shape[-1], stage.shape[1], norm, norm / sum(norms), mean)
            for stage, norm, mean in zip(blank, norms, added, strict=True)
        ),
        beside,
    )


def load_images(sources: Sequence[Source], trained: Checkpoint) -> Iterator[torch.Tensor]:
    """The images of the sources' val parts as `trained` saw images last: batches for `explain`."""
    if sources:
        recipe = trained.recipe
        frames = load_frames(sources, "val", recipe.final_size, picture_crop=recipe.picture_crop)
        for images in torch.from_numpy(frames.images).split(BATCH):
            yield normalise(images.permute(0, 3, 1, 2).float(), trained.mean, trained.std)


def _run(
    network: nn.Module, fusion: InformationFusion, images: torch.Tensor
) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """The stages that go into the fusion, its logits, and those of the network."""
    seen: list[tuple[list[torch.Tensor], torch.Tensor]] = []
    hook = fusion.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    try:
        logits = network(images)
    finally:
        hook.remove()
    return *seen[0], logits


def _weight(fusion: InformationFusion, index: int) -> torch.Tensor:
    """w P_i: `(C_i,)`."""
    return (
        fusion.classify.weight.detach()[0, :, 0, 0]
        @ cast(torch.Tensor, fusion.project[index].weight).detach()[:, :, 0, 0]
    )


def _logits_of(fusion: InformationFusion, index: int, stage: torch.Tensor) -> torch.Tensor:
    """What one stage `(N, C_i, H_i, W_i)` adds: `(N, 1, H_i, W_i)`; the bias of w belongs to none."""
    return F.conv2d(fusion.project[index](fusion.refine[index](stage)), fusion.classify.weight)
