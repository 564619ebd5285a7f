"""Validation against Dice and IoU counted pixel by pixel."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from rtpolyp.errors import RtpolypError
from train.data import Frames, TrainingFile
from train.validate import overlap, validate


class Redder(nn.Module):
    """Outlines what is redder than green; mean and std cancel out only when they are applied right."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.mean, self.encoder.std = (10.0, 30.0, 50.0), (2.0, 4.0, 8.0)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        red, green = (images[:, [c]] * self.encoder.std[c] + self.encoder.mean[c] for c in (0, 1))
        return red - green


@pytest.fixture
def frames() -> Frames:
    """Two sources of random pixels; the second one's last two frames have no polyp, the last no red."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (7, 32, 32, 3), np.uint8)
    masks = np.where(random.random((7, 32, 32)) < 0.3, 255, 0).astype(np.uint8)
    masks[5:] = 0
    images[6, :, :, 0] = 0
    return Frames(images, masks, np.array([0, 0, 0, 1, 1, 1, 1]), ("a:x", "b:y"), ())


def counted(image: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    both = found = truth = 0
    for (red, green, _), value in zip(image.reshape(-1, 3).tolist(), mask.ravel().tolist(), strict=True):
        found += red > green
        truth += value == 255
        both += red > green and value == 255
    return 2 * both / (found + truth), both / (found + truth - both)


@pytest.mark.parametrize("batch", [2, 7, 16])
def test_scores_are_the_counted_ones(frames, batch):
    result = validate(Redder(), frames, batch, torch.device("cpu"))
    scores = [counted(image, mask) for image, mask in zip(frames.images[:5], frames.masks, strict=False)]
    for name, chosen in (("a:x", scores[:3]), ("b:y", scores[3:])):
        dice, iou = np.mean(chosen, axis=0)
        assert result.dice[name] == pytest.approx(dice)
        assert result.iou[name] == pytest.approx(iou)
    assert result.macro_dice == pytest.approx((result.dice["a:x"] + result.dice["b:y"]) / 2)
    assert result.macro_iou == pytest.approx((result.iou["a:x"] + result.iou["b:y"]) / 2)
    assert result.false_outlines == 0.5


def test_without_polyp_free_frames_there_is_no_rate(frames):
    with_polyp = Frames(frames.images[:5], frames.masks[:5], frames.source_index[:5], frames.sources, ())
    assert math.isnan(validate(Redder(), with_polyp, 2, torch.device("cpu")).false_outlines)


def test_a_source_without_polyps_leaves_the_means_alone(frames):
    index = np.array([0, 0, 0, 0, 0, 1, 1])
    among = Frames(frames.images, frames.masks, index, frames.sources, ())
    result = validate(Redder(), among, 2, torch.device("cpu"))
    assert set(result.dice) == set(result.iou) == {"a:x"}
    assert result.macro_dice == result.dice["a:x"]
    assert result.macro_iou == result.iou["a:x"]
    assert 0 < result.macro_iou < result.macro_dice < 1
    assert result.false_outlines == 0.5


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_fail_naming_the_frame(frames, value):
    class Broken(Redder):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = super().forward(images)
            logits[images[:, 0].flatten(1).amax(1) < 0, :, 3, 4] = value  # the last frame, which has no red
            return logits

    files = tuple(TrainingFile("a:x", f"{index}.png", "") for index in range(7))
    named = replace(frames, files=files)
    with pytest.raises(
        RtpolypError, match=r"^a:x/6\.png: the network gives no finite logits .*Lower the"
    ) as error:
        validate(Broken(), named, 4, torch.device("cpu"))
    assert "\n" not in str(error.value)


def test_two_empty_masks_agree():
    empty = torch.zeros(1, 4, 4, dtype=torch.bool)
    assert [score.item() for score in overlap(empty, empty)] == [1.0, 1.0]
    assert [score.item() for score in overlap(~empty, empty)] == [0.0, 0.0]
