"""The batches of a run, each of which can be drawn again."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from train.augmentation.augment import augment
from train.data import Frames, resized
from train.hard_crops import HardCrop
from train.recipe import Recipe
from train.sampling import Sampler

__all__ = ["MARGIN", "Batches"]

MARGIN = 1.15  # side of the frames in memory against the training size: a zoomed-in crop stays sharp


class Batches:
    """Draws from frames that lie on `device` at MARGIN times the size of the batch; `hard` is the sampler's.

    All randomness of a batch – frames, crops, colours – comes from the seed and its number alone. So resuming
    needs no state of random generators and ends in the same weights as an uninterrupted run.
    """

    def __init__(self, frames: Frames, recipe: Recipe, device: torch.device, hard: Sequence[HardCrop] = ()):
        self.frames = frames
        self.recipe = recipe
        self.device = device
        self.sampler = Sampler(frames, recipe, hard)
        self.size = 0  # pixels; of the last step
        self.side = 0  # pixels; of the batch that it was scaled from
        self.number = -1  # of that batch

    def draw(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (N, 3, S, S) float32 RGB in 0–255 and masks (N, 1, S, S) in {0, 1} of `step` (0-based).

        Under several scales so many steps share a batch, resized on the device as in PraNet's code.
        """
        if self._number(step) != self.number:
            self.batch = self._draw(step)
            self.number = self._number(step)
        images, masks = self.batch
        self.size = self.recipe.size_at(step)
        if self.size != self.side:
            images, masks = (_scaled(layers, self.size) for layers in (images, masks))
            masks = (masks > 0.5).float()
        return images, masks

    def names(self, step: int) -> list[str]:
        """The files that `step` (0-based) draws, without drawing its pixels."""
        frames = self.sampler.draw(self._generator(step)).frames
        return [self.frames.files[index].name for index in frames]

    def _draw(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        side = self.recipe.drawn_size_at(step)
        if side != self.side:
            self.side = side
            frames = resized(self.frames, math.ceil(MARGIN * side))
            self.images = torch.from_numpy(frames.images).to(self.device)
            self.masks = torch.from_numpy(frames.masks).to(self.device)
        generator = self._generator(step)
        placement = self.sampler.draw(generator)
        return augment(self.images, self.masks, placement, side, self.recipe, generator)

    def _number(self, step: int) -> int:
        return step // len(self.recipe.scales)

    def _generator(self, step: int) -> torch.Generator:
        seed = np.random.SeedSequence((self.recipe.seed, self._number(step))).generate_state(1)[0]
        return torch.Generator().manual_seed(int(seed))


def _scaled(layers: torch.Tensor, side: int) -> torch.Tensor:
    return F.interpolate(layers, (side, side), mode="bilinear", align_corners=False)
