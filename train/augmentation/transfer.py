"""Another hospital's colours: the LAB statistics of one frame given to another.

Reinhard et al., "Color Transfer between Images", IEEE CG&A 2001, with CIE LAB (D65) in place of their lαβ.
"""

import torch

from train.augmentation.draws import uploaded

__all__ = ["lab_from_rgb", "rgb_from_lab", "transfer_colours"]

LIT = 8  # of 255; what has no channel above is the black border, which belongs to no mucosa
SUBSAMPLED = 4  # every so manieth row and column is enough for a mean
LARGEST_GAIN = 2.0  # of a channel's spread, either way: a nearly flat frame would blow up noise

XYZ_FROM_RGB = torch.tensor(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)  # ITU-R BT.709 primaries
WHITE = torch.tensor([0.950456, 1.0, 1.088754])  # D65
LAB_FROM_ROOTS = torch.tensor([[0.0, 116, 0], [500, -500, 0], [0, 200, -200]])
KNEE = 6 / 29  # below it CIE's cube root is a straight line


def lab_from_rgb(pictures: torch.Tensor) -> torch.Tensor:
    """sRGB `(N, 3, H, W) float32` in 0–255 → CIE LAB: L in 0–100, a and b about −100 to 100."""
    values = pictures / 255
    linear = torch.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    xyz = _mixed(XYZ_FROM_RGB / WHITE[:, None], linear)
    roots = torch.where(xyz > KNEE**3, xyz.clamp(min=1e-6) ** (1 / 3), xyz / (3 * KNEE**2) + 4 / 29)
    lab = _mixed(LAB_FROM_ROOTS, roots)
    lab[:, 0] -= 16
    return lab


def rgb_from_lab(lab: torch.Tensor) -> torch.Tensor:
    """CIE LAB → sRGB in 0–255; what sRGB cannot show is clipped."""
    lightness, a, b = lab.unbind(1)
    middle = (lightness + 16) / 116
    roots = torch.stack([middle + a / 500, middle, middle - b / 200], dim=1)
    xyz = torch.where(roots > KNEE, roots**3, 3 * KNEE**2 * (roots - 4 / 29))
    linear = _mixed(torch.linalg.inv(XYZ_FROM_RGB) * WHITE, xyz).clamp(0, 1)
    curved = 1.055 * linear.clamp(min=1e-6) ** (1 / 2.4) - 0.055
    return 255 * torch.where(linear <= 0.0031308, 12.92 * linear, curved).clamp(0, 1)


def transfer_colours(pictures: torch.Tensor, own: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """`pictures: (N, 3, H, W)` in 0–255 with the colours of `others`, border left black.

    `own` and `others`, `(N, S, S, 3) uint8` RGB, are the whole frames that the pictures are cut from and
    those that lend their colours: a crop of nothing but polyp moves as its frame does, not to its own mean.
    """
    mean, spread = _statistics(own)
    other_mean, other_spread = _statistics(others)
    gain = (other_spread / spread.clamp(min=1e-3)).clamp(1 / LARGEST_GAIN, LARGEST_GAIN)
    moved = rgb_from_lab(gain * (lab_from_rgb(pictures) - mean) + other_mean)
    return torch.where(pictures.amax(1, keepdim=True) > LIT, moved, pictures)


def _statistics(frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation `(N, 3, 1, 1)` in LAB over the lit pixels."""
    pictures = frames[:, ::SUBSAMPLED, ::SUBSAMPLED].permute(0, 3, 1, 2).float()
    lit = (pictures.amax(1, keepdim=True) > LIT).float()
    count = lit.sum((2, 3), keepdim=True).clamp(min=1)
    lab = lab_from_rgb(pictures)
    mean = (lit * lab).sum((2, 3), keepdim=True) / count
    return mean, ((lit * (lab - mean) ** 2).sum((2, 3), keepdim=True) / count).sqrt()


def _mixed(matrix: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
    """A 3×3 matrix on each pixel's three values."""
    return torch.einsum("oc,nchw->nohw", uploaded(matrix, pictures.device), pictures)
