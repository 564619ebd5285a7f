"""Polyps of one frame on the mucosa of another, and patches of that mucosa beside a polyp.

Copy-paste: Ghiasi et al., arXiv:2012.07177; patches: CutMix, Yun et al., arXiv:1905.04899. The edge is
feathered and what is pasted moved to the colour of its new surroundings, or the network would learn the seam.
"""

import torch
from torch.nn import functional as F

from train.augmentation.draws import uploaded

__all__ = ["paste_patches", "paste_polyps"]

DARK = 8  # of 255; border, and what lies outside the frame, is nobody's surroundings
RING = 9  # pixels: how far around a polyp its surroundings reach
FEATHER = 5  # pixels, side of the box that the mask is averaged over, twice
SPECK = 7  # pixels: dark spots up to this are part of the mucosa, not its border
PATCH = (0.25, 0.6)  # half axes of a patch, in half sides of the picture
LARGEST_GAIN = 1.3  # of a channel, either way: beyond it a polyp would shine like stool
CLEARANCE = 6  # pixels between a patch and a polyp


def paste_polyps(
    pictures: torch.Tensor, target: torch.Tensor, donors: torch.Tensor, polyps: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """`pictures: (N, 3, H, W)` in 0–255 with what `polyps: (N, 1, H, W)` in {0, 1} marks in `donors`.

    The polyp stays where it lies in the donor's crop; where the picture has its black border or box, nothing
    is pasted. Returns pictures and the union of both masks.
    """
    polyps = polyps * _mucosa(pictures)
    return _blend(pictures, donors, polyps), torch.maximum(target, polyps)


def paste_patches(
    pictures: torch.Tensor, target: torch.Tensor, lent: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """`pictures: (N, 3, H, W)` in 0–255 with an ellipse of `lent`, clear of `target`'s polyps."""
    draws = uploaded(torch.rand(4, len(pictures), 1, 1, 1, generator=generator), pictures.device)
    height, width = pictures.shape[-2:]
    y = torch.linspace(-1, 1, height, device=pictures.device)[:, None]
    x = torch.linspace(-1, 1, width, device=pictures.device)
    half = PATCH[0] + (PATCH[1] - PATCH[0]) * draws[:2]
    centre = 1.6 * draws[2:] - 0.8
    inside = (((x - centre[0]) / half[0]) ** 2 + ((y - centre[1]) / half[1]) ** 2 < 1).float()
    polyps = F.max_pool2d(target, 2 * CLEARANCE + 1, 1, CLEARANCE)
    return _blend(pictures, lent, inside * (1 - polyps) * _mucosa(pictures) * _mucosa(lent))


def _mucosa(pictures: torch.Tensor) -> torch.Tensor:
    """(N, 1, H, W) in {0, 1}: 0 on the black border and boxes."""
    lit = (pictures.amax(1, keepdim=True) > DARK).float()
    return -F.max_pool2d(-F.max_pool2d(lit, SPECK, 1, SPECK // 2), SPECK, 1, SPECK // 2)


def _blend(pictures: torch.Tensor, donors: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    """The donors' pixels where `shape: (N, 1, H, W)` is 1, with a soft edge, in the pictures' colour."""
    lit = torch.minimum(pictures, donors).amax(1, keepdim=True) > DARK
    ring = lit * (F.max_pool2d(shape, 2 * RING + 1, 1, RING) - shape)
    around, of_donor = ((layers * ring).sum((2, 3), keepdim=True) + 1 for layers in (pictures, donors))
    gain = (around / of_donor).clamp(1 / LARGEST_GAIN, LARGEST_GAIN)
    alpha = shape
    for _ in range(2):
        alpha = F.avg_pool2d(alpha, FEATHER, 1, FEATHER // 2, count_include_pad=False)
    return torch.lerp(pictures, (gain * donors).clamp(0, 255), alpha)
