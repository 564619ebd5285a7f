"""Which frames make a batch, and how each is placed: a pure function of the generator it is given.

Polyp-free crops are cut from frames with polyps. Each lends its zoom and turn to one positive crop, so that
"zoomed in, no black corner" says nothing about whether there is a polyp.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional as F

from rtpolyp.errors import InputError
from train.augmentation.boxes import draw_boxes
from train.augmentation.draws import stream
from train.data import Frames
from train.hard_crops import HardCrop
from train.position_box import find_box
from train.recipe import Recipe

__all__ = ["Placement", "Sampler"]

COARSE = 32  # side of the occupancy maps that crops are chosen on
CANDIDATES = 32  # crops tried for each polyp-free one


@dataclass(frozen=True)
class Placement:
    """Frames of one batch and the affine map from each output image into its frame."""

    frames: torch.Tensor  # (N,) int64
    theta: torch.Tensor  # (N, 2, 3) float32, as `torch.nn.functional.affine_grid` takes it
    references: torch.Tensor | None = None  # (N,) int64, a frame of another source for each
    pasted: torch.Tensor | None = None  # (P,) int64, images that get a polyp …
    donors: "Placement | None" = None  # … of these crops, of which there are P
    patched: torch.Tensor | None = None  # (Q,) int64, images that get a patch …
    patches: "Placement | None" = None  # … of these true negatives, of which there are Q
    painted: torch.Tensor | None = None  # (N, 4) boxes on the frames, as train.augmentation.boxes …
    filled: torch.Tensor | None = None  # … draws them, and its found ones to fill; all 0 where there is none


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
    """Draws the placements of a batch from the frames of a training set.

    `hard` are crops of these frames that an earlier network saw a polyp in. Raises InputError for one of
    another frame, and where colours are to be transferred between sources and there is only one.
    """

    def __init__(self, frames: Frames, recipe: Recipe, hard: Sequence[HardCrop] = ()):
        self.recipe = recipe
        masks = torch.from_numpy(frames.masks)[:, None]
        # dilated by one cell, so that a crop called polyp-free stays clear of the polyp's rim
        occupied = torch.cat([F.adaptive_max_pool2d(chunk.float(), COARSE) for chunk in masks.split(256)])
        self.occupied = F.max_pool2d(occupied, 3, 1, 1) > 0  # (F, 1, COARSE, COARSE)
        self.polyp_cells = (occupied > 0).flatten(1)
        has_polyp = self.polyp_cells.any(1)
        self.positive_weights = _source_weights(frames.source_index, has_polyp.numpy(), recipe.sampling)
        self.negatives = (~has_polyp).float()
        self.weights = self.positive_weights
        if self.negatives.any():
            share, negatives = recipe.polyp_free_frames, self.negatives / self.negatives.sum()
            self.weights = (1 - share) * self.positive_weights + share * negatives
        self.boxes = torch.zeros(len(frames), 2)  # right and upper edge on true negatives
        if recipe.remove_box:
            found = {int(index): find_box(frames.images[index]) for index in self.negatives.nonzero()[:, 0]}
            for index, box in found.items():
                if box:
                    self.boxes[index] = torch.tensor(box)
        self.source = torch.from_numpy(frames.source_index)
        if recipe.transfer and len(self.source[has_polyp].unique()) < 2:
            raise InputError("transfer: takes colours of another source, and there is one. Give more --data")
        if hard:
            self.hard = _on_frames(hard, frames)
            self.hard_weights = torch.tensor([crop.score for crop in hard])
        self.hard_share = recipe.hard_crops if hard else 0.0

    def draw(self, generator: torch.Generator) -> Placement:
        """One batch: ordinary images, then positive crops, then as many polyp-free crops."""
        recipe = self.recipe
        most = (recipe.batch - 1) // 2  # one ordinary image is always left
        crops = min(self._count(recipe.polyp_free_crops, generator), most)
        ordinary = self._ordinary(recipe.batch - 2 * crops, generator)
        parts = [ordinary]
        if crops:
            polyp_free = self._polyp_free(crops, generator)
            if self.hard_share:
                polyp_free = self._with_hard(polyp_free, stream(generator, "hard crops"))
            parts += [self._positive(polyp_free.theta[:, :, :2], generator), polyp_free]
        batch = Placement(torch.cat([p.frames for p in parts]), torch.cat([p.theta for p in parts]))
        if recipe.copy_paste:
            batch = self._with_pasted(batch, len(ordinary.frames), stream(generator, "copy-paste"))
        if recipe.patches and self.negatives.any():
            batch = self._with_patches(batch, stream(generator, "patches"))
        if recipe.paint_box or recipe.remove_box:
            batch = self._with_boxes(batch, stream(generator, "position boxes"))
        if recipe.transfer:
            others = self._among(batch.frames, same=False)
            references = torch.multinomial(others, 1, generator=stream(generator, "references"))[:, 0]
            batch = replace(batch, references=references)
        return batch

    def _count(self, share: float, generator: torch.Generator) -> int:
        """Images of a batch, `share` of it on average."""
        return int(share * self.recipe.batch + torch.rand(1, generator=generator).item())

    def _among(self, frames: torch.Tensor, *, same: bool) -> torch.Tensor:
        """(N, F) chance of each frame with a polyp of the source of each of `frames`, or of the others."""
        return self.positive_weights * ((self.source == self.source[frames][:, None]) == same)

    def _with_hard(self, crops: Placement, generator: torch.Generator) -> Placement:
        """Some of the crops replaced from the list, the more surely found a polyp the more often."""
        count = len(crops.frames)
        is_hard = torch.rand(count, generator=generator) < self.hard_share
        chosen = torch.multinomial(self.hard_weights, count, replacement=True, generator=generator)
        upright = replace(self.recipe, rotation_degrees=0.0, stretch=0.0)  # a turned one shows more than it
        turned = linear_maps(torch.ones(count), upright, generator)
        theta = self.hard.theta[chosen]
        theta = torch.cat([theta[:, :, :2] @ turned, theta[:, :, 2:]], dim=2)
        return Placement(
            torch.where(is_hard, self.hard.frames[chosen], crops.frames),
            torch.where(is_hard[:, None, None], theta, crops.theta),
        )

    def _with_pasted(self, batch: Placement, ordinary: int, generator: torch.Generator) -> Placement:
        """The last of the `ordinary` images replaced by polyp-free crops, with a donor for each."""
        count = min(self._count(self.recipe.copy_paste, generator), ordinary - 1)
        if count < 1:
            return batch
        crops = self._polyp_free(count, generator)
        if self.recipe.copy_paste_onto and self.negatives.any():
            crops = self._onto_negatives(crops, stream(generator, "copy-paste onto negatives"))
        weights = self._among(crops.frames, same=True) if self.recipe.copy_paste_from == "same" else None
        donors = self._positive(crops.theta[:, :, :2], generator, weights)
        rows = torch.arange(ordinary - count, ordinary)
        return Placement(
            batch.frames.index_copy(0, rows, crops.frames),
            batch.theta.index_copy(0, rows, crops.theta),
            pasted=rows,
            donors=donors,
        )

    def _onto_negatives(self, crops: Placement, generator: torch.Generator) -> Placement:
        """Some of the crops replaced by true negatives."""
        count = len(crops.frames)
        is_frame = torch.rand(count, generator=generator) < self.recipe.copy_paste_onto
        frames = self._ordinary(count, generator, self.negatives)
        return Placement(
            torch.where(is_frame, frames.frames, crops.frames),
            torch.where(is_frame[:, None, None], frames.theta, crops.theta),
        )

    def _with_patches(self, batch: Placement, generator: torch.Generator) -> Placement:
        """Some of the frames with a polyp get a patch of a true negative."""
        chosen = torch.rand(len(batch.frames), generator=generator) < self.recipe.patches
        rows = (chosen & (self.negatives[batch.frames] == 0)).nonzero()[:, 0]
        if not len(rows):
            return batch
        return replace(batch, patched=rows, patches=self._ordinary(len(rows), generator, self.negatives))

    def _with_boxes(self, batch: Placement, generator: torch.Generator) -> Placement:
        """Black boxes painted on frames with a polyp; those of true negatives filled or cropped away."""
        count = len(batch.frames)
        is_negative = self.negatives[batch.frames] > 0
        uniform = torch.rand(3, count, generator=generator)
        paints = ~is_negative & (uniform[0] < self.recipe.paint_box)
        painted = draw_boxes(count, generator) * paints[:, None]
        right, top = self.boxes[batch.frames].unbind(1)
        boxed = is_negative & (right > 0)
        filled = torch.stack([torch.zeros(count), top, right, torch.ones(count)], 1)
        filled = filled * (boxed & (uniform[0] < self.recipe.remove_box / 2))[:, None]
        crops = boxed & (uniform[0] >= self.recipe.remove_box / 2) & (uniform[0] < self.recipe.remove_box)
        upright = replace(self.recipe, rotation_degrees=0.0, stretch=0.0)
        turned = linear_maps(1 + 0.3 * uniform[1], upright, generator)
        above = uniform[2] < 0.5  # else right of the box
        scale = torch.stack([torch.where(above, 1.0, 1 - right), torch.where(above, top, 1.0)], 1)
        linear = scale[:, :, None] * turned
        centre = torch.stack([torch.where(above, 0.0, right), torch.where(above, top - 1, 0.0)], 1)
        reach = (scale - linear.abs().sum(2)).clamp(min=0)
        shift = centre + reach * (2 * torch.rand(count, 2, generator=generator) - 1)
        theta = torch.where(crops[:, None, None], torch.cat([linear, shift[:, :, None]], dim=2), batch.theta)
        return replace(batch, theta=theta, painted=painted, filled=filled)

    def _ordinary(
        self, count: int, generator: torch.Generator, weights: torch.Tensor | None = None
    ) -> Placement:
        weights = self.weights if weights is None else weights
        frames = torch.multinomial(weights, count, replacement=True, generator=generator)
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

    def _positive(
        self, linear: torch.Tensor, generator: torch.Generator, weights: torch.Tensor | None = None
    ) -> Placement:
        """Crops with the given linear maps, each of another frame with a polyp in view.

        `weights: (N, F)` are the chances of the frames for each crop, by default the sources' shares.
        """
        count = len(linear)
        if weights is None:
            frames = torch.multinomial(self.positive_weights, count, replacement=True, generator=generator)
        else:
            frames = torch.multinomial(weights, 1, generator=generator)[:, 0]
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


def _on_frames(crops: Sequence[HardCrop], frames: Frames) -> Placement:
    """Where the crops lie. Raises InputError for one whose frame is not trained on."""
    index = {file.sha256: position for position, file in enumerate(frames.files)}
    if foreign := [crop for crop in crops if crop.sha256 not in index]:
        raise InputError(
            f"{foreign[0].name}: {len(foreign)} of {len(crops)} hard crops are of frames that are not "
            "trained on. Mine them with the same --data"
        )
    theta = [
        [[crop.width, 0, 2 * crop.x + crop.width - 1], [0, crop.height, 2 * crop.y + crop.height - 1]]
        for crop in crops
    ]
    return Placement(torch.tensor([index[crop.sha256] for crop in crops]), torch.tensor(theta))


def _source_weights(source_index: np.ndarray, has_polyp: np.ndarray, sampling: str) -> torch.Tensor:
    """(F,) float32 chance of each frame with a polyp; frames without one get 0."""
    power = {"uniform": 1.0, "square-root": 0.5, "equal": 0.0}[sampling]
    weights = has_polyp.astype(np.float64)
    counts = np.bincount(source_index, weights=weights)
    weights *= np.where(counts > 0, counts, 1)[source_index] ** (power - 1)
    return torch.from_numpy(weights / weights.sum()).float()
