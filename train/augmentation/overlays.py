"""What a processor draws around and over the endoscope's picture: black borders, boxes and lines of text.

Nothing of a polyp can be seen beneath them, so the mask is emptied there.
"""

import torch

from train.augmentation.draws import uploaded

__all__ = ["add_borders", "add_text"]

BOXES = 3  # a picture at most
GLYPH = 0.012  # of the picture's side: a dot of the dot matrix that letters are made of
DOTS = 64  # columns and rows of that matrix; it repeats beyond


def add_borders(
    pictures: torch.Tensor, target: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Blacken what lies outside a superellipse, from round to nearly square, up to 30 % of a half side in.

    `pictures: (N, 3, H, W)` in 0–255, `target: (N, 1, H, W)`; `generator` is a CPU one.
    """
    count, device = len(pictures), pictures.device
    draws = uploaded(torch.rand(6, count, generator=generator), device)
    reach = 0.7 + 0.4 * draws[:2]  # half axes; beyond 1 that side has no border
    centre = (2 * draws[2:4] - 1) * (1 - reach).clamp(min=0)
    exponent = 2 ** (1 + 3 * draws[4])  # 2 is an ellipse, 16 nearly a rectangle
    y, x = _coordinates(pictures)
    across = ((x - centre[0, :, None, None]) / reach[0, :, None, None]).abs() ** exponent[:, None, None]
    down = ((y - centre[1, :, None, None]) / reach[1, :, None, None]).abs() ** exponent[:, None, None]
    outside = (across + down > 1)[:, None]
    level = 6 * draws[5, :, None, None, None]  # grey levels: no recorder's black is 0
    return torch.where(outside, level, pictures), torch.where(outside, torch.zeros_like(target), target)


def add_text(
    pictures: torch.Tensor, target: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw up to BOXES lines or boxes of dots along the sides, on black, on one colour or on the picture.

    `pictures: (N, 3, H, W)` in 0–255, `target: (N, 1, H, W)`; `generator` is a CPU one.
    """
    count, device = len(pictures), pictures.device
    y, x = _coordinates(pictures)
    cell = 2 * GLYPH  # the coordinates span −1…1
    for number in range(BOXES):
        draws = uploaded(torch.rand(8, count, generator=generator), device)[:, :, None, None]
        dots = uploaded(torch.rand(count, DOTS, DOTS, generator=generator) < 0.45, device)
        width, height = 0.08 + 0.3 * draws[0], 0.03 + 0.15 * draws[1] ** 2
        side = torch.where(draws[2] < 0.5, -1.0, 1.0)
        centre_x = side * (1 - width - 0.1 * draws[3])
        centre_y = (2 * draws[4] - 1) * (1 - height)
        inside = ((x - centre_x).abs() < width) & ((y - centre_y).abs() < height)
        inside &= (draws[5] < 0.6) | (number == 0)  # one for certain
        column = torch.floor((x + 1) / cell).long() % DOTS
        row = torch.floor((y + 1) / cell).long() % DOTS
        is_dot = dots[torch.arange(count, device=device)[:, None, None], row, column] & (row % 8 < 5)
        ink, ground = uploaded(torch.rand(2, count, 3, 1, 1, generator=generator), device)
        ink, ground = 140 + 115 * ink, 200 * ground
        ground = torch.where(draws[6][:, None] < 0.5, 0.0, ground)
        is_ground = inside & (draws[7] < 0.6)
        pictures = torch.where(is_ground[:, None], ground, pictures)
        pictures = torch.where((inside & is_dot)[:, None], ink, pictures)
        covered = is_ground | (inside & is_dot)
        target = torch.where(covered[:, None], torch.zeros_like(target), target)
    return pictures, target


def _coordinates(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """y and x of pixel centres in −1…1, `(1, H, 1)` and `(1, 1, W)`."""
    height, width = pictures.shape[-2:]
    y = (torch.arange(height, device=pictures.device) + 0.5) * (2 / height) - 1
    x = (torch.arange(width, device=pictures.device) + 0.5) * (2 / width) - 1
    return y[None, :, None], x[None, None, :]
