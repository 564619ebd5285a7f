"""Polyps of one frame on the mucosa of another (copy-paste: Ghiasi et al., arXiv:2012.07177).

The edge is feathered and the polyp moved to the colour of its new surroundings, or the network would learn
the seam.
"""

import torch
from torch.nn import functional as F

__all__ = ["paste_polyps"]

DARK = 8  # of 255; border, and what lies outside the frame, is nobody's surroundings
RING = 9  # pixels: how far around a polyp its surroundings reach
FEATHER = 5  # pixels, side of the box that the mask is averaged over, twice


def paste_polyps(
    pictures: torch.Tensor, target: torch.Tensor, donors: torch.Tensor, polyps: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """`pictures: (N, 3, H, W)` in 0–255 with what `polyps: (N, 1, H, W)` in {0, 1} marks in `donors`.

    The polyp stays where it lies in the donor's crop. Returns pictures and the union of both masks.
    """
    lit = torch.minimum(pictures, donors).amax(1, keepdim=True) > DARK
    ring = lit * (F.max_pool2d(polyps, 2 * RING + 1, 1, RING) - polyps)
    shift = ((pictures - donors) * ring).sum((2, 3), keepdim=True) / ring.sum((2, 3), keepdim=True).clamp(1)
    alpha = polyps
    for _ in range(2):
        alpha = F.avg_pool2d(alpha, FEATHER, 1, FEATHER // 2, count_include_pad=False)
    mixed = torch.lerp(pictures, (donors + shift).clamp(0, 255), alpha)
    return mixed, torch.maximum(target, polyps)
