"""The black box over a position display, painted on frames with a polyp and taken off those without.

Nearly all real polyp-free frames have one (see `train.position_box`), and of the frames with a polyp only
half of Kvasir-SEG's, so a network could learn "box, so no polyp".
"""

import torch
from torch.nn import functional as F

from train.augmentation.draws import uploaded

__all__ = ["cover", "draw_boxes", "uncover"]

WIDTH, HEIGHT = (0.2, 0.42), (0.2, 0.42)  # of painted ones; real ones are 0.31–0.37 wide, 0.31–0.34 high
MARGIN = 0.05  # of a frame: how far a painted box may stand off the left and lower side
HIDDEN = 0.3  # of the polyps' pixels that a painted box may cover
FEATHER = 9  # pixels over which a filled box blends into the frame


def draw_boxes(count: int, generator: torch.Generator) -> torch.Tensor:
    """Boxes to paint: `(count, 4) float32`, left, top, right, bottom as shares of the frame."""
    width, height, left, below = torch.rand(4, count, generator=generator)
    width = WIDTH[0] + (WIDTH[1] - WIDTH[0]) * width
    height = HEIGHT[0] + (HEIGHT[1] - HEIGHT[0]) * height
    left, bottom = MARGIN * left, 1 - MARGIN * below
    flush = torch.rand(2, count, generator=generator) < 0.5  # real ones touch the side or nearly so
    left, bottom = torch.where(flush[0], 0.0, left), torch.where(flush[1], 1.0, bottom)
    return torch.stack([left, bottom - height, left + width, bottom], dim=1)


def cover(
    pictures: torch.Tensor, masks: torch.Tensor, boxes: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Paint the boxes black where that hides at most HIDDEN of a frame's polyps; the mask is empty beneath.

    `pictures: (N, 3, S, S)` in 0–255, `masks: (N, 1, S, S)`, 255 = polyp, `boxes: (N, 4)` as drawn.
    """
    inside = _inside(boxes, pictures)
    hidden = (masks * inside).sum((1, 2, 3)) / masks.sum((1, 2, 3)).clamp(min=1)
    inside &= (hidden <= HIDDEN)[:, None, None, None]
    return torch.where(inside, 0.0, pictures), torch.where(inside, torch.zeros_like(masks), masks)


def uncover(pictures: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Fill the boxes of frames with what lies opposite, mirrored, so that no edge of a box is left.

    `pictures: (N, 3, S, S)` in 0–255, `boxes: (N, 4)` as found; a box of no size changes nothing.
    """
    grown = boxes + uploaded(torch.tensor([-1, -1, 1, 1]) * FEATHER / pictures.shape[-1], boxes.device)
    is_box = (boxes[:, 2:] > boxes[:, :2]).all(1)[:, None, None, None]
    alpha = (_inside(grown, pictures) & is_box).float()
    alpha = F.avg_pool2d(alpha, FEATHER, 1, FEATHER // 2, count_include_pad=False)
    return torch.lerp(pictures, pictures.flip(3), alpha)


def _inside(boxes: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
    """(N, 1, S, S) bool: which pixels' centres a box holds."""
    side = pictures.shape[-1]
    centres = (torch.arange(side, device=pictures.device) + 0.5) / side
    left, top, right, bottom = (edge[:, None] for edge in boxes.unbind(1))
    across = (centres > left) & (centres < right)
    down = (centres > top) & (centres < bottom)
    return down[:, None, :, None] & across[:, None, None, :]
