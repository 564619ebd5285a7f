"""Batch augmentation on tensors: uint8 frames in, normalised float images out, on whichever device they lie.

Everything is vectorised over the batch: one resampling for all geometry, one 3×4 matrix per image for all
colour, then interlacing, blur, noise and JPEG quantisation on random subsets.
"""

import math

import torch
from torch.nn import functional as F

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


def normalise(images: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """RGB `images: (N, 3, H, W) float32` in 0–255 → `(images − mean) / std`, as the encoder expects."""
    mean, std = (_uploaded(torch.tensor(values)[:, None, None], images.device) for values in (mean, std))
    return (images - mean) / std


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
    frames, theta = _uploaded(placement.frames, device), _uploaded(placement.theta, device)
    pictures = images[frames].permute(0, 3, 1, 2).float()
    layers = torch.cat([pictures, masks[frames][:, None].float()], dim=1)
    grid = F.affine_grid(theta, [len(frames), 4, size, size], align_corners=False)
    sampled = F.grid_sample(layers, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    pictures, target = sampled[:, :3], (sampled[:, 3:] > 127.5).float()

    pictures = _recolour(pictures, recipe, generator)
    degradations = (
        (_interlace, recipe.interlace),
        (_blur, recipe.blur),
        (_noise, recipe.noise),
        (_jpeg, recipe.jpeg),
    )
    for degrade, probability in degradations:
        chosen = (torch.rand(len(frames), generator=generator) < probability).nonzero()[:, 0]
        strength = torch.rand(len(chosen), generator=generator)
        if len(chosen):
            chosen, strength = _uploaded(chosen, device), _uploaded(strength, device)
            pictures[chosen] = degrade(pictures[chosen], strength, generator)
    return pictures.clamp_(0, 255), target


def _uploaded(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """`values` from the CPU on `device`: by way of pinned memory, or the host would wait for the GPU."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


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
    matrix, offset = (_uploaded(values, pictures.device) for values in (matrix, gain * (1 - contrast)))
    offset = offset[:, None] * pictures.mean((1, 2, 3))[:, None]
    lit = pictures.amax(1, keepdim=True) > 8  # an endoscope's black border has no contrast to change
    pixels = pictures.flatten(2)
    shifted = torch.baddbmm(offset[:, :, None], matrix, pixels).view_as(pictures)
    return torch.where(lit, shifted, pictures).clamp_(0, 255)


def _interlace(pictures: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Two fields of a moving picture in one frame, up to 3 % of its side apart, from combed to blended."""
    count, _, height, _ = pictures.shape
    angle, comb = _uploaded(torch.rand(2, count, generator=generator), pictures.device)
    angle = math.tau * angle
    half = 0.03 * strength[:, None] * torch.stack([torch.cos(angle), torch.sin(angle)], 1)  # of half sides
    identity = torch.eye(2, device=pictures.device).expand(count, 2, 2)
    fields = []
    for shift in (half, -half):
        grid = F.affine_grid(torch.cat([identity, shift[:, :, None]], 2), pictures.shape, align_corners=False)
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
    noise = _uploaded(torch.randn(pictures.shape, generator=generator), pictures.device)
    return pictures + (1 + 9 * strength)[:, None, None, None] * noise


def _jpeg(pictures: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """What JPEG of quality 25–90 does to luminance: 8×8 cosine transform, quantised and back."""
    count, _, height, width = pictures.shape
    quality = 25 + 65 * strength
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    table = (_uploaded(JPEG_TABLE, pictures.device) * scale[:, None, None]).clamp(min=1)[:, None, None]
    index = torch.arange(8, device=pictures.device)
    cosines = torch.cos(math.pi / 8 * index[:, None] * (index[None, :] + 0.5)) / 2
    cosines[0] /= math.sqrt(2)
    luminance = torch.einsum("c,nchw->nhw", _uploaded(RGB_TO_YIQ[0], pictures.device), pictures)
    blocks = luminance.view(count, height // 8, 8, width // 8, 8).transpose(2, 3)
    spectrum = torch.round(cosines @ (blocks - 128) @ cosines.T / table) * table
    coded = (cosines.T @ spectrum @ cosines + 128).transpose(2, 3).reshape(count, 1, height, width)
    return pictures + coded - luminance[:, None]
