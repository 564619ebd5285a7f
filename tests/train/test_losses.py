"""The losses against sums written out in NumPy."""

import numpy as np
import pytest
import torch

from train.losses import HARDEST_FRACTION, LOSSES, bce_dice_loss, structure_loss

TOLERANCE = 1e-5  # absolute, on losses of order one in float32


@pytest.fixture
def logits() -> torch.Tensor:
    return 3 * torch.randn(3, 1, 40, 48, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def target() -> torch.Tensor:
    """A square away from the border, one that touches a corner, and none."""
    target = torch.zeros(3, 1, 40, 48)
    target[0, :, 10:22, 12:30] = 1
    target[1, :, :15, :9] = 1
    return target


def per_image(logits: torch.Tensor, target: torch.Tensor):
    """Probability, truth and cross entropy of each image, (H, W) float64."""
    for x, y in zip(logits[:, 0].double().numpy(), target[:, 0].double().numpy(), strict=True):
        p = 1 / (1 + np.exp(-x))
        yield p, y, -(y * np.log(p) + (1 - y) * np.log(1 - p))


def test_bce_dice_is_the_written_out_sum(logits, target):
    expected = []
    for p, y, bce in per_image(logits, target):
        if y.any():
            other = 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)
        else:
            other = np.sort(bce, axis=None)[-round(HARDEST_FRACTION * bce.size) :].mean()
        expected.append(bce.mean() + other)
    assert bce_dice_loss(logits, target).item() == pytest.approx(np.mean(expected), abs=TOLERANCE)


def test_a_small_false_outline_weighs_as_much_as_a_wrong_frame():
    """The plain mean over a frame of 10,000 pixels would move by a hundredth of this."""
    clean = torch.full((1, 1, 100, 100), -8.0)
    outlined = clean.clone()
    outlined[..., :10, :10] = 8.0
    empty = torch.zeros_like(clean)
    assert bce_dice_loss(outlined, empty) - bce_dice_loss(clean, empty) > 8.0


def test_structure_is_the_written_out_sum(logits, target):
    expected = []
    for p, y, bce in per_image(logits, target):
        mean = np.empty_like(y)
        for row in range(y.shape[0]):
            for column in range(y.shape[1]):  # windows end at the image's border
                mean[row, column] = y[max(0, row - 15) : row + 16, max(0, column - 15) : column + 16].mean()
        weight = 1 + 5 * np.abs(mean - y)
        overlap, both = (weight * p * y).sum(), (weight * (p + y)).sum()
        iou = (overlap + 1) / (both - overlap + 1)
        expected.append((weight * bce).sum() / weight.sum() + 1 - iou)
    assert structure_loss(logits, target).item() == pytest.approx(np.mean(expected), abs=TOLERANCE)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_structure_does_not_weigh_the_image_border(logits, value):
    """A uniform target agrees with itself everywhere; zero padding would give a corner the weight 4.67."""
    target = torch.full_like(logits, value)
    expected = [
        bce.mean() + 1 - ((p * y).sum() + 1) / ((p + y - p * y).sum() + 1)
        for p, y, bce in per_image(logits, target)
    ]
    assert structure_loss(logits, target).item() == pytest.approx(np.mean(expected), abs=TOLERANCE)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_perfect_is_near_zero_and_wrong_is_not(loss, target):
    right = 40 * target - 20
    assert loss(right, target) < 1e-3
    assert loss(-right, target) > 10


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_gradients_are_finite_even_for_absurd_logits(loss, scale, logits, target):
    x = (scale * logits).requires_grad_()
    value = loss(x, target)
    value.backward()
    assert value.isfinite()
    assert x.grad.isfinite().all()
    assert x.grad.any()
