"""Batch augmentation on tensors: uint8 frames in, normalised float images out, on whichever device they lie.

Everything is vectorised over the batch: one resampling for all geometry, what is pasted and drawn on it, one
3×4 matrix per image for all colour, then smears, interlacing, blur, noise and JPEG on random subsets.
"""

import math
from collections.abc import Sequence

import torch
from torch.nn import functional as F

from train.augmentation.boxes import cover, uncover
from train.augmentation.draws import stream, uploaded
from train.augmentation.overlays import add_borders, add_text
from train.augmentation.paste import paste_patches, paste_polyps
from train.augmentation.transfer import transfer_colours
from train.recipe import Recipe
from train.sampling import Placement

__all__ = ["augment", "normalise"]

# luminance quantisation of the JPEG standard (ITU-T T.81, table K.1), in 1/255 of the full range
JPEG_TABLE = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=torch.float32,
)
RGB_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
YIQ_TO_RGB = torch.linalg.inv(RGB_TO_YIQ)


def normalise(images: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """RGB `images: (N, 3, H, W) float32` in 0–255 → `(images − mean) / std`, as the encoder expects."""
    means, stds = (uploaded(torch.tensor(values)[:, None, None], images.device) for values in (mean, std))
    return (images - means) / stds


def augment(
    images: torch.Tensor,
    masks: torch.Tensor,
    placement: Placement,
    size: int,
    recipe: Recipe,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut, turn, colour and degrade a batch.

    `images: (F, S, S, 3) uint8` RGB and `masks: (F, S, S) uint8` (255 = polyp) are the whole training set;
    `generator` is a CPU one, so that a seed means the same batch on every device. Returns images
    `(N, 3, size, size) float32` in 0–255, not normalised yet, and masks `(N, 1, size, size) float32` in
    {0, 1}.
    """
    device = images.device
    pictures, target = _placed(images, masks, placement, size)
    if placement.donors is not None and placement.pasted is not None:
        rows = uploaded(placement.pasted, device)
        donors = _placed(images, masks, placement.donors, size)
        pictures[rows], target[rows] = paste_polyps(pictures[rows], target[rows], *donors)
    if placement.patches is not None and placement.patched is not None:
        rows = uploaded(placement.patched, device)
        lent, _ = _placed(images, masks, placement.patches, size)
        draws = stream(generator, "patch shapes")
        pictures[rows] = paste_patches(pictures[rows], target[rows], lent, draws)
    if placement.references is not None:
        chosen = _chosen(len(pictures), recipe.transfer, stream(generator, "transfer"))
        if len(chosen):
            lenders = placement.frames[chosen], placement.references[chosen]
            own, others = (images[uploaded(frames, device)] for frames in lenders)
            chosen = uploaded(chosen, device)
            pictures[chosen] = transfer_colours(pictures[chosen], own, others)
    for overlay, probability in ((add_borders, recipe.borders), (add_text, recipe.text)):
        draws = stream(generator, overlay.__name__)
        chosen = _chosen(len(pictures), probability, draws)
        if len(chosen):
            chosen = uploaded(chosen, device)
            pictures[chosen], target[chosen] = overlay(pictures[chosen], target[chosen], draws)

    pictures = _recolour(pictures, recipe, generator)
    degradations = (
        (_motion_blur, recipe.motion_blur, stream(generator, "motion blur")),
        (_interlace, recipe.interlace, generator),
        (_blur, recipe.blur, generator),
        (_noise, recipe.noise, generator),
        (_jpeg, recipe.jpeg, generator),
    )
    for degrade, probability, draws in degradations:
        chosen = _chosen(len(pictures), probability, draws)
        strength = torch.rand(len(chosen), generator=draws)
        if len(chosen):
            chosen, strength = uploaded(chosen, device), uploaded(strength, device)
            pictures[chosen] = degrade(pictures[chosen], strength, draws)
    return pictures.clamp_(0, 255), target


def _placed(
    images: torch.Tensor, masks: torch.Tensor, placement: Placement, size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The placement's pictures and their masks in {0, 1}; black and no polyp beyond a frame."""
    frames, theta = uploaded(placement.frames, images.device), uploaded(placement.theta, images.device)
    pictures = images[frames].permute(0, 3, 1, 2).float()
    polyps = masks[frames][:, None].float()
    if placement.painted is not None:
        pictures, polyps = cover(pictures, polyps, uploaded(placement.painted, images.device))
    if placement.filled is not None:
        pictures = uncover(pictures, uploaded(placement.filled, images.device))
    layers = torch.cat([pictures, polyps], dim=1)
    grid = F.affine_grid(theta, [len(frames), 4, size, size], align_corners=False)
    sampled = F.grid_sample(layers, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return sampled[:, :3], (sampled[:, 3:] > 127.5).float()


def _chosen(count: int, probability: float, generator: torch.Generator) -> torch.Tensor:
    """Which of `count` images, each with `probability`, as indices on the CPU."""
    return (torch.rand(count, generator=generator) < probability).nonzero()[:, 0]


def _recolour(pictures: torch.Tensor, recipe: Recipe, generator: torch.Generator) -> torch.Tensor:
    """Hue, saturation, contrast and brightness as one matrix and offset per image; black stays black."""
    count = len(pictures)
    gain, contrast, saturation, hue = 2 * torch.rand(4, count, generator=generator) - 1
    gain, contrast = 1 + recipe.brightness * gain, 1 + recipe.contrast * contrast
    saturation = 1 + recipe.saturation * saturation
    angle = math.radians(recipe.hue_degrees) * hue
    chroma = torch.zeros(count, 3, 3)
    chroma[:, 0, 0] = 1
    chroma[:, 1, 1] = chroma[:, 2, 2] = saturation * torch.cos(angle)
    chroma[:, 2, 1] = saturation * torch.sin(angle)
    chroma[:, 1, 2] = -chroma[:, 2, 1]
    matrix = (gain * contrast)[:, None, None] * (YIQ_TO_RGB @ chroma @ RGB_TO_YIQ)
    matrix, offset = (uploaded(values, pictures.device) for values in (matrix, gain * (1 - contrast)))
    offset = offset[:, None] * pictures.mean((1, 2, 3))[:, None]
    lit = pictures.amax(1, keepdim=True) > 8  # an endoscope's black border has no contrast to change
    pixels = pictures.flatten(2)
    shifted = torch.baddbmm(offset[:, :, None], matrix, pixels).view_as(pictures)
    return torch.where(lit, shifted, pictures).clamp_(0, 255)


def _motion_blur(pictures: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A straight smear of 3–11 pixels in any direction, as of a moving endoscope."""
    count, _, height, width = pictures.shape
    angle = math.pi * uploaded(torch.rand(count, generator=generator), pictures.device)
    half = (1 + 4 * strength)[:, None, None]  # pixels, either way
    reach = torch.arange(-5, 6, device=pictures.device).float()
    x, y, cos, sin = reach[None, None, :], reach[None, :, None], angle.cos(), angle.sin()
    along = x * cos[:, None, None] + y * sin[:, None, None]
    across = y * cos[:, None, None] - x * sin[:, None, None]
    kernel = (1 - across.abs()).clamp(min=0) * (half + 0.5 - along.abs()).clamp(0, 1)  # an antialiased line
    kernel = (kernel / kernel.sum((1, 2), keepdim=True)).repeat_interleave(3, dim=0)[
        :, None
    ]  # (3N, 1, 11, 11)
    planes = F.pad(pictures, (5, 5, 5, 5), mode="replicate").view(1, 3 * count, height + 10, width + 10)
    return F.conv2d(planes, kernel, groups=3 * count).view(count, 3, height, width)


def _interlace(pictures: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Two fields of a moving picture in one frame, up to 3 % of its side apart, from combed to blended."""
    count, _, height, _ = pictures.shape
    angle, comb = uploaded(torch.rand(2, count, generator=generator), pictures.device)
    angle = math.tau * angle
    half = 0.03 * strength[:, None] * torch.stack([torch.cos(angle), torch.sin(angle)], 1)  # of half sides
    identity = torch.eye(2, device=pictures.device).expand(count, 2, 2)
    fields = []
    for shift in (half, -half):
        grid = F.affine_grid(
            torch.cat([identity, shift[:, :, None]], 2), list(pictures.shape), align_corners=False
        )
        fields.append(F.grid_sample(pictures, grid, padding_mode="border", align_corners=False))
    parity = 1 - 2 * (torch.arange(height, device=pictures.device) % 2)
    weight = 0.5 + 0.5 * comb[:, None] * parity  # (N, H) of the first field: alternating lines, or a mean
    return torch.lerp(fields[1], fields[0], weight[:, None, :, None])


def _blur(pictures: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Gaussian blur, σ 0.4–1.6 pixels, separable."""
    count, _, height, width = pictures.shape
    sigma = 0.4 + 1.2 * strength
    reach = torch.arange(-4, 5, device=pictures.device)
    kernel = torch.exp(-0.5 * (reach / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, dim=0)  # (3N, 9)
    planes = F.pad(pictures, (4, 4, 4, 4), mode="replicate").view(1, 3 * count, height + 8, width + 8)
    planes = F.conv2d(planes, kernel[:, None, None, :], groups=3 * count)
    planes = F.conv2d(planes, kernel[:, None, :, None], groups=3 * count)
    return planes.view(count, 3, height, width)


def _noise(pictures: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Gaussian noise, σ 1–10 grey levels."""
    noise = uploaded(torch.randn(pictures.shape, generator=generator), pictures.device)
    return pictures + (1 + 9 * strength)[:, None, None, None] * noise


def _jpeg(pictures: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """What JPEG of quality 25–90 does to luminance: 8×8 cosine transform, quantised and back."""
    count, _, height, width = pictures.shape
    quality = 25 + 65 * strength
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    table = (uploaded(JPEG_TABLE, pictures.device) * scale[:, None, None]).clamp(min=1)[:, None, None]
    index = torch.arange(8, device=pictures.device)
    cosines = torch.cos(math.pi / 8 * index[:, None] * (index[None, :] + 0.5)) / 2
    cosines[0] /= math.sqrt(2)
    luminance = torch.einsum("c,nchw->nhw", uploaded(RGB_TO_YIQ[0], pictures.device), pictures)
    blocks = luminance.view(count, height // 8, 8, width // 8, 8).transpose(2, 3)
    spectrum = torch.round(cosines @ (blocks - 128) @ cosines.T / table) * table
    coded = (cosines.T @ spectrum @ cosines + 128).transpose(2, 3).reshape(count, 1, height, width)
    return pictures + coded - luminance[:, None]
