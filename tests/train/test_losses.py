"""The losses against sums written out in NumPy."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from train.losses import HARDEST_FRACTION, LOSSES, bce_dice_loss, legacy_structure_loss, structure_loss

TOLERANCE = 1e-5  # absolute, on losses of order one in float32
HEIGHT, WIDTH = 40, 48


@pytest.fixture
def logits() -> torch.Tensor:
    return 3 * torch.randn(3, 1, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def target() -> torch.Tensor:
    return masks("squares")


def masks(kind: str) -> torch.Tensor:
    """(3, 1, H, W) in {0, 1}."""
    target = torch.zeros(3, 1, HEIGHT, WIDTH)
    if kind == "squares":  # one away from the border, one that touches a corner, and none
        target[0, :, 10:22, 12:30] = 1
        target[1, :, :15, :9] = 1
    elif kind == "random":
        target = (torch.rand(target.shape, generator=torch.Generator().manual_seed(1)) < 0.3).float()
    elif kind == "pixels":
        target[:, :, 7, 7] = target[2, :, -1, -1] = 1
    elif kind == "full":
        target[:] = 1
    return target


Triple = tuple[np.ndarray, np.ndarray, np.ndarray]


def per_image(logits: torch.Tensor, target: torch.Tensor) -> Iterator[Triple]:
    """Probability, truth and cross entropy of each image, (H, W) float64."""
    for x, y in zip(logits[:, 0].double().numpy(), target[:, 0].double().numpy(), strict=True):
        p = 1 / (1 + np.exp(-x))
        yield p, y, -(y * np.log(p) + (1 - y) * np.log(1 - p))


def pooled(logits: torch.Tensor, target: torch.Tensor) -> list[np.ndarray]:
    """The same of all images together."""
    return [np.stack(images) for images in zip(*per_image(logits, target), strict=True)]


def neighbourhood_mean(y: np.ndarray, *, zeros_around: bool) -> np.ndarray:
    mean = np.empty_like(y)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            window = y[max(0, row - 15) : row + 16, max(0, column - 15) : column + 16]
            mean[row, column] = window.sum() / (31 * 31 if zeros_around else window.size)
    return mean


def weighted_iou(p: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    overlap, both = (weight * p * y).sum(), (weight * (p + y)).sum()
    return 1 - (overlap + 1) / (both - overlap + 1)


def bce_dice(logits: torch.Tensor, target: torch.Tensor) -> float:
    values = []
    for p, y, bce in per_image(logits, target):
        if y.any():
            other = 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)
        else:
            other = np.sort(bce, axis=None)[-round(HARDEST_FRACTION * bce.size) :].mean()
        values.append(bce.mean() + other)
    return np.mean(values)


def structure(logits: torch.Tensor, target: torch.Tensor) -> float:
    values = []
    for p, y, bce in per_image(logits, target):
        weight = 1 + 5 * np.abs(neighbourhood_mean(y, zeros_around=False) - y)
        values.append((weight * bce).sum() / weight.sum() + weighted_iou(p, y, weight))
    return np.mean(values)


def structure_legacy(logits: torch.Tensor, target: torch.Tensor) -> float:
    everywhere = pooled(logits, target)[2].mean()  # what its reduce="none" returns for the whole batch
    values = []
    for p, y, _ in per_image(logits, target):
        weight = 1 + 5 * np.abs(neighbourhood_mean(y, zeros_around=True) - y)
        values.append((weight * everywhere).sum() / weight.sum() + weighted_iou(p, y, weight))
    return np.mean(values)


def cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> float:
    return pooled(logits, target)[2].mean()


def dice(logits: torch.Tensor, target: torch.Tensor) -> float:
    p, y, _ = pooled(logits, target)
    return 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)


WRITTEN_OUT = {
    "bce-dice": bce_dice,
    "structure": structure,
    "structure-legacy": structure_legacy,
    "cross-entropy": cross_entropy,
    "dice": dice,
    "bce-dice-unetpp": lambda *both: cross_entropy(*both) / 2 + dice(*both),
}


@pytest.mark.parametrize("kind", ["squares", "random", "pixels", "full", "empty"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_the_written_out_sum(name, kind, logits):
    expected = WRITTEN_OUT[name](logits, masks(kind))
    assert LOSSES[name](logits, masks(kind)).item() == pytest.approx(expected, abs=TOLERANCE)


def test_a_small_false_outline_weighs_as_much_as_a_wrong_frame():
    """The plain mean over a frame of 10,000 pixels would move by a hundredth of this."""
    clean = torch.full((1, 1, 100, 100), -8.0)
    outlined = clean.clone()
    outlined[..., :10, :10] = 8.0
    empty = torch.zeros_like(clean)
    assert bce_dice_loss(outlined, empty) - bce_dice_loss(clean, empty) > 8.0


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_structure_does_not_weigh_the_image_border(logits, value):
    """A uniform target agrees with itself everywhere."""
    target = torch.full_like(logits, value)
    expected = [bce.mean() + weighted_iou(p, y, np.ones_like(p)) for p, y, bce in per_image(logits, target)]
    assert structure_loss(logits, target).item() == pytest.approx(np.mean(expected), abs=TOLERANCE)


@pytest.mark.parametrize(("loss", "weight"), [(structure_loss, 1.0), (legacy_structure_loss, 4.67)])
def test_what_a_full_mask_weighs_at_its_corner(loss, weight):
    """Read off the loss: all else being certain, the IoU falls by the weight of the one pixel missed."""
    full = torch.ones(1, 1, 64, 64, dtype=torch.float64)
    right = torch.full_like(full, 1e3)
    missed, centre = right.clone(), right.clone()
    missed[..., 0, 0] = centre[..., 32, 32] = -1e3
    certain, at_corner, at_centre = (
        (loss(logits, full) - F.binary_cross_entropy_with_logits(logits, full)).item()
        for logits in (right, missed, centre)
    )
    assert certain == 0
    assert at_corner / at_centre == pytest.approx(weight, abs=5e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_perfect_is_near_zero_and_wrong_is_not(name, target):
    right = 40 * target - 20
    assert LOSSES[name](right, target) < 1e-3
    assert LOSSES[name](-right, target) > (0.99 if name == "dice" else 10)  # Dice ends at 1


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_gradients_are_finite_even_for_absurd_logits(loss, scale, logits, target):
    x = (scale * logits).requires_grad_()
    value = loss(x, target)
    value.backward()
    assert value.isfinite()
    assert x.grad.isfinite().all()
    assert x.grad.any()
