"""Which frames make a batch, and how each is placed: a pure function of the generator it is given.

Polyp-free crops are cut from frames with polyps. Each lends its zoom and turn to one positive crop, so that
"zoomed in, no black corner" says nothing about whether there is a polyp.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from train.data import Frames
from train.recipe import Recipe

__all__ = ["Placement", "Sampler"]

COARSE = 32  # side of the occupancy maps that crops are chosen on
CANDIDATES = 32  # crops tried for each polyp-free one


@dataclass(frozen=True)
class Placement:
    """Frames of one batch and the affine map from each output image into its frame."""

    frames: torch.Tensor  # (N,) int64
    theta: torch.Tensor  # (N, 2, 3) float32, as `torch.nn.functional.affine_grid` takes it


def linear_maps(zoom: torch.Tensor, recipe: Recipe, generator: torch.Generator) -> torch.Tensor:
    """(N, 2, 2) output → frame: flip, quarter turn ± a few degrees, stretch, and `zoom: (N,)`."""
    uniform = torch.rand(4, len(zoom), generator=generator)
    angle = torch.deg2rad(recipe.rotation_degrees * (2 * uniform[0] - 1))
    angle = angle + math.pi / 2 * torch.floor((recipe.quarter_turns + 1) * uniform[1])
    stretch = torch.exp(recipe.stretch / 2 * (2 * uniform[2] - 1))
    flip = torch.where(uniform[3] < recipe.flip, -1.0, 1.0)
    cos, sin = torch.cos(angle), torch.sin(angle)
    columns = torch.stack([flip * stretch / zoom, 1 / (stretch * zoom)], dim=1)  # (N, 2)
    rotation = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    return rotation * columns[:, None, :]


class Sampler:
    """Draws the placements of a batch from the frames of a training set."""

    def __init__(self, frames: Frames, recipe: Recipe):
        self.recipe = recipe
        masks = torch.from_numpy(frames.masks)[:, None]
        # dilated by one cell, so that a crop called polyp-free stays clear of the polyp's rim
        occupied = torch.cat([F.adaptive_max_pool2d(chunk.float(), COARSE) for chunk in masks.split(256)])
        self.occupied = F.max_pool2d(occupied, 3, 1, 1) > 0  # (F, 1, COARSE, COARSE)
        self.polyp_cells = (occupied > 0).flatten(1)
        has_polyp = self.polyp_cells.any(1)
        self.positive_weights = _source_weights(frames.source_index, has_polyp.numpy(), recipe.sampling)
        negatives = (~has_polyp).float()
        self.weights = self.positive_weights
        if negatives.any():
            share = recipe.polyp_free_frames
            self.weights = (1 - share) * self.positive_weights + share * negatives / negatives.sum()

    def draw(self, generator: torch.Generator) -> Placement:
        """One batch: ordinary images, then positive crops, then as many polyp-free crops."""
        recipe = self.recipe
        expected = recipe.polyp_free_crops * recipe.batch
        most = (recipe.batch - 1) // 2  # one ordinary image is always left
        crops = min(int(expected + torch.rand(1, generator=generator).item()), most)
        ordinary = self._ordinary(recipe.batch - 2 * crops, generator)
        if not crops:
            return ordinary
        polyp_free = self._polyp_free(crops, generator)
        positive = self._positive(polyp_free.theta[:, :, :2], generator)
        parts = (ordinary, positive, polyp_free)
        return Placement(torch.cat([p.frames for p in parts]), torch.cat([p.theta for p in parts]))

    def _ordinary(self, count: int, generator: torch.Generator) -> Placement:
        frames = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        low, high = (math.log(zoom) for zoom in self.recipe.zoom)
        zoom = torch.exp(low + (high - low) * torch.rand(count, generator=generator))
        linear = linear_maps(zoom, self.recipe, generator)
        # anywhere inside the frame when zoomed in, and a little beyond its border
        reach = (1 - 1 / zoom).abs() + self.recipe.shift
        shift = reach[:, None] * (2 * torch.rand(count, 2, generator=generator) - 1)
        return Placement(frames, torch.cat([linear, shift[:, :, None]], dim=2))

    def _polyp_free(self, count: int, generator: torch.Generator) -> Placement:
        """The first of many random crops that shows no polyp; where none does, the labels still hold."""
        total = count * CANDIDATES
        frames = torch.multinomial(self.positive_weights, total, replacement=True, generator=generator)
        zoom = torch.exp(math.log(self.recipe.crop_zoom) * torch.rand(total, generator=generator))
        linear = linear_maps(zoom, self.recipe, generator)
        shift = _inside(linear) * (2 * torch.rand(total, 2, generator=generator) - 1)
        theta = torch.cat([linear, shift[:, :, None]], dim=2)
        grid = F.affine_grid(theta, [total, 1, COARSE, COARSE], align_corners=False)
        seen = F.grid_sample(self.occupied[frames].float(), grid, mode="nearest", align_corners=False)
        is_free = (seen.flatten(1).amax(1) == 0).view(count, CANDIDATES)
        chosen = is_free.float().argmax(1) + CANDIDATES * torch.arange(count)
        return Placement(frames[chosen], theta[chosen])

    def _positive(self, linear: torch.Tensor, generator: torch.Generator) -> Placement:
        """Crops with the given linear maps, each of another frame with a polyp in view."""
        count = len(linear)
        frames = torch.multinomial(self.positive_weights, count, replacement=True, generator=generator)
        cell = torch.multinomial(self.polyp_cells[frames].float(), 1, generator=generator)[:, 0]
        cell_xy = torch.stack([cell % COARSE, cell // COARSE], dim=1)
        polyp = (2 * cell_xy + 1) / COARSE - 1  # a polyp's cell, in the frame's coordinates −1…1
        place = 1.4 * torch.rand(count, 2, generator=generator) - 0.7  # where it shall appear in the crop
        reach = _inside(linear)
        shift = polyp - (linear @ place[:, :, None])[:, :, 0]
        shift = torch.maximum(torch.minimum(shift, reach), -reach)
        return Placement(frames, torch.cat([linear, shift[:, :, None]], dim=2))


def _inside(linear: torch.Tensor) -> torch.Tensor:
    """(N, 2) largest shift that keeps a crop with these maps inside its frame, 0 where it cannot be."""
    return (1 - linear.abs().sum(2)).clamp(min=0)


def _source_weights(source_index: np.ndarray, has_polyp: np.ndarray, sampling: str) -> torch.Tensor:
    """(F,) float32 chance of each frame with a polyp; frames without one get 0."""
    power = {"uniform": 1.0, "square-root": 0.5, "equal": 0.0}[sampling]
    weights = has_polyp.astype(np.float64)
    counts = np.bincount(source_index, weights=weights)
    weights *= np.where(counts > 0, counts, 1)[source_index] ** (power - 1)
    return torch.from_numpy(weights / weights.sum()).float()
