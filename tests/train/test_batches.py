"""Batches: a function of the seed and the step, and of nothing else."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from tests.train.polyps import write_polyps
from train.batches import MARGIN, Batches
from train.data import load_frames, parse_source
from train.recipe import Recipe, recipe_for

RECIPE = Recipe(steps=4, batch=4, sizes=((64, 0.5), (96, 0.5)), seed=7)
CPU = torch.device("cpu")


@pytest.fixture
def frames(tmp_path):
    return load_frames([parse_source(str(write_polyps(tmp_path / "clinic")))], "train", 112)


def test_any_step_can_be_drawn_again_in_any_order(frames):
    forward = Batches(frames, RECIPE, CPU)
    drawn = [forward.draw(step) for step in range(4)]
    assert [tuple(images.shape) for images, _ in drawn] == [(4, 3, 64, 64)] * 2 + [(4, 3, 96, 96)] * 2
    torch.manual_seed(123)  # the global generator has no say
    backward = Batches(frames, RECIPE, CPU)
    for step in reversed(range(4)):
        for first, again in zip(drawn[step], backward.draw(step), strict=True):
            assert torch.equal(first, again)
    assert not torch.equal(drawn[0][0], drawn[1][0])


def test_another_seed_draws_other_batches(frames):
    other = Recipe(steps=4, batch=4, sizes=RECIPE.sizes, seed=8)
    first, second = (Batches(frames, recipe, CPU).draw(0)[0] for recipe in (RECIPE, other))
    assert not torch.equal(first, second)


def test_frames_lie_ready_a_little_larger_than_the_batch(frames):
    batches = Batches(frames, RECIPE, CPU)
    batches.draw(0)
    assert batches.images.shape[1] == pytest.approx(64 * MARGIN, abs=1)
    batches.draw(2)
    assert batches.images.shape[1] == pytest.approx(96 * MARGIN, abs=1)


def test_names_are_the_files_of_that_step(frames):
    batches = Batches(frames, RECIPE, CPU)
    drawn = batches.sampler.draw(batches._generator(3)).frames
    assert batches.names(3) == [frames.files[index].name for index in drawn]
    assert set(batches.names(3)) <= {f"train{index}.jpg" for index in range(6)}


SCALED = Recipe(steps=6, batch=4, sizes=((96, 1.0),), scales=(0.75, 1.0, 1.25), seed=7)


def test_each_scale_shows_the_same_frames_at_another_size(frames):
    batches = Batches(frames, SCALED, CPU)
    drawn = [batches.draw(step) for step in range(6)]
    assert [images.shape[-1] for images, _ in drawn] == [64, 96, 128] * 2
    assert [masks.shape[-1] for _, masks in drawn] == [64, 96, 128] * 2
    (small, _), (whole, _), (large, _) = drawn[:3]
    assert batches.names(0) == batches.names(1) == batches.names(2) != batches.names(3)
    for images in (small, large):
        coarse = (F.adaptive_avg_pool2d(one, 16) for one in (images, whole))
        torch.testing.assert_close(*coarse, rtol=0, atol=6)  # grey levels; neighbouring pixels differ by 20
    assert not torch.equal(drawn[1][0], drawn[4][0])


def test_masks_stay_binary_and_keep_their_area_at_every_scale(frames):
    batches = Batches(frames, SCALED, CPU)
    areas = []
    for step in range(3):
        masks = batches.draw(step)[1]
        assert set(masks.unique().tolist()) == {0.0, 1.0}
        areas.append(masks.mean().item())
    assert areas == pytest.approx([areas[1]] * 3, rel=0.03)


def test_scaling_leaves_the_batch_at_scale_1_as_it_is_without(frames):
    plain = Batches(frames, replace(SCALED, scales=(1.0,)), CPU)
    for step, number in ((1, 0), (4, 1)):
        for scaled, unscaled in zip(Batches(frames, SCALED, CPU).draw(step), plain.draw(number), strict=True):
            assert torch.equal(scaled, unscaled)


def test_scaled_steps_can_be_drawn_in_any_order(frames):
    forward = Batches(frames, SCALED, CPU)
    drawn = [forward.draw(step)[0] for step in range(6)]
    other = Batches(frames, SCALED, CPU)
    for step in (5, 2, 0, 4, 1, 3):
        assert torch.equal(other.draw(step)[0], drawn[step])


def test_frames_are_not_uploaded_anew_for_a_scale(frames):
    batches = Batches(frames, SCALED, CPU)
    batches.draw(0)
    before = batches.images
    for step in range(1, 6):
        batches.draw(step)
    assert batches.images is before
    assert before.shape[1] == pytest.approx(96 * MARGIN, abs=1)


def test_a_recipe_without_augmentation_shows_frames_as_they_are(frames):
    """As PraNet's author does: no flip, turn, crop or colour, and every frame of the batch upright."""
    recipe = recipe_for("pranet", "author").changed(steps=1, batch=4, sizes=((96, 1.0),), scales=(1.0,))
    batches = Batches(frames, recipe, CPU)
    images, masks = batches.draw(0)
    chosen = batches.sampler.draw(batches._generator(0)).frames
    shrunk = F.interpolate(
        batches.images[chosen].permute(0, 3, 1, 2).float(), (96, 96), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(
        images, shrunk, rtol=0, atol=0.01
    )  # the colour matrix is the identity, rounded
    truth = F.interpolate(batches.masks[chosen][:, None].float(), (96, 96), mode="bilinear") > 127.5
    assert torch.equal(masks > 0, truth)


@pytest.mark.needs_cuda
def test_drawing_waits_for_no_gpu_and_gives_the_batch_of_a_cpu(frames, cuda):
    recipe = replace(SCALED, interlace=0.5, blur=0.5, noise=0.5, jpeg=0.5)
    batches = Batches(frames, recipe, cuda)
    batches.draw(3)  # the frames are uploaded once
    torch.cuda.set_sync_debug_mode("error")
    try:
        drawn = batches.draw(0)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    images, masks = Batches(frames, recipe, CPU).draw(0)
    assert (drawn[0].cpu() - images).abs().mean() < 0.1  # grey levels; JPEG may round a value the other way
    assert (drawn[1].cpu() != masks).float().mean() < 1e-3
