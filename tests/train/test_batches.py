"""Batches: a function of the seed and the step, and of nothing else."""

import pytest
import torch

from tests.train.polyps import write_polyps
from train.batches import MARGIN, Batches
from train.data import load_frames, parse_source
from train.recipe import Recipe

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
