"""The black box over a position display: found, painted, filled and cropped away."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from tests.train.test_sampling import discs, draws, frames_of, generator
from train.augmentation.augment import augment
from train.augmentation.boxes import cover, draw_boxes, uncover
from train.position_box import find_box
from train.recipe import Recipe
from train.sampling import Sampler

SIDE = 64
STILL = Recipe(
    batch=16, polyp_free_crops=0, brightness=0, contrast=0, saturation=0, hue_degrees=0,
    blur=0, noise=0, jpeg=0,
)  # fmt: skip


def boxed(right: float, top: float) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8: bright noise with a box of black JPEG noise in the lower left."""
    random = np.random.default_rng(0)
    image = random.integers(90, 200, (SIDE, SIDE, 3), dtype=np.uint8)
    image[round(top * SIDE) :, : round(right * SIDE)] = random.integers(0, 9, 3)
    return image


@pytest.mark.parametrize(("right", "top"), [(0.34, 0.67), (0.31, 0.69), (0.45, 0.55)])
def test_a_box_is_found_to_the_pixel(right, top):
    found = find_box(boxed(right, top))
    assert found == pytest.approx((right, top), abs=1 / SIDE)


def test_a_frame_without_a_box_has_none():
    bright = boxed(0, 1)
    black = np.zeros_like(bright)
    corner = bright.copy()
    cv2.circle(corner, (0, SIDE), SIDE // 4, (0, 0, 0), -1)  # an octagonal frame's corner
    assert [find_box(image) for image in (bright, black, corner)] == [None] * 3


def test_painted_boxes_lie_in_the_lower_left_and_vary():
    boxes = draw_boxes(200, generator())
    left, top, right, bottom = boxes.unbind(1)
    assert ((left >= 0) & (left < 0.06) & (bottom <= 1) & (bottom > 0.94)).all()
    assert ((right - left > 0.19) & (right - left < 0.43) & (bottom - top > 0.19)).all()
    assert right.std() > 0.03
    assert (left == 0).float().mean() == pytest.approx(0.5, abs=0.1)


def test_a_painted_box_is_black_and_empties_the_mask_but_hides_no_polyp():
    pictures, masks = torch.full((2, 3, SIDE, SIDE), 120.0), torch.zeros(2, 1, SIDE, SIDE)
    masks[0, :, 40:, 20:] = 255  # reaches a little into the box
    masks[1, :, 50:60, 4:14] = 255  # lies in it
    boxes = torch.tensor([[0, 0.65, 0.35, 1.0]]).expand(2, 4)
    painted, left = cover(pictures, masks, boxes)
    assert painted[0, :, 45:, :22].max() == 0
    assert left[0, 0, 45:, :22].max() == 0
    assert left[0].sum() > 0.5 * masks[0].sum()
    assert torch.equal(painted[1], pictures[1])
    assert torch.equal(left[1], masks[1])


def test_a_filled_box_shows_what_lies_opposite():
    image = torch.from_numpy(boxed(0.34, 0.67)).permute(2, 0, 1)[None].float()
    filled = uncover(image, torch.tensor([[0, 0.67, 0.34, 1.0]]))
    assert torch.equal(filled[..., 46:60, 2:18], image.flip(3)[..., 46:60, 2:18])
    assert torch.equal(filled[..., :29, :], image[..., :29, :])
    assert torch.equal(uncover(image, torch.zeros(1, 4)), image)


def negatives_and_discs():
    """20 frames with a disc, then 20 without a polyp but with a box."""
    masks = discs(40)
    masks[20:] = 0
    images = np.full((40, SIDE, SIDE, 3), 120, np.uint8)
    images[20:] = boxed(0.34, 0.67)
    return images, masks, replace(frames_of(masks), images=images)


def test_boxes_of_true_negatives_are_filled_or_cropped_away_as_often_as_asked():
    images, masks, frames = negatives_and_discs()
    recipe = replace(STILL, polyp_free_frames=0.5, remove_box=1.0, rotation_degrees=0, shift=0, zoom=(1, 1))
    sampler = Sampler(frames, recipe)
    kept, filled = [], 0
    for seed, placement in enumerate(draws(sampler, 20)):
        pictures, _ = augment(
            torch.from_numpy(images), torch.from_numpy(masks), placement, SIDE, recipe, generator(seed)
        )
        is_negative = placement.frames >= 20
        assert (placement.filled[~is_negative] == 0).all()
        filled += int((placement.filled[is_negative, 2] > 0).sum())
        kept += [(picture.amax(0) <= 12).float().mean().item() for picture in pictures[is_negative]]
    assert 0.35 * len(kept) < filled < 0.65 * len(kept)
    assert max(kept) < 0.05  # a row of pixels at a crop's edges; the box has a tenth of the frame


def test_boxes_are_painted_on_frames_with_a_polyp_alone():
    _, _, frames = negatives_and_discs()
    sampler = Sampler(frames, replace(STILL, polyp_free_frames=0.5, paint_box=0.4))
    painted = [
        (frame >= 20, bool(box.any()))
        for placement in draws(sampler, 20)
        for frame, box in zip(placement.frames.tolist(), placement.painted, strict=True)
    ]
    assert not any(is_painted for is_negative, is_painted in painted if is_negative)
    share = np.mean([is_painted for is_negative, is_painted in painted if not is_negative])
    assert share == pytest.approx(0.4, abs=0.1)


def test_polyps_are_pasted_onto_true_negatives():
    _, _, frames = negatives_and_discs()
    recipe = replace(STILL, polyp_free_frames=0, copy_paste=0.25, copy_paste_onto=1.0)
    placement = Sampler(frames, recipe).draw(generator())
    assert (placement.frames[placement.pasted] >= 20).all()
    assert (placement.donors.frames < 20).all()


def test_patches_come_from_true_negatives_and_go_to_frames_with_a_polyp():
    _, _, frames = negatives_and_discs()
    for placement in draws(Sampler(frames, replace(STILL, polyp_free_frames=0.5, patches=0.5)), 5):
        assert (placement.frames[placement.patched] < 20).all()
        assert (placement.patches.frames >= 20).all()
        assert len(placement.patched) == len(placement.patches.frames) > 0
