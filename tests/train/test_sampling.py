"""Sampling: what a batch is made of, checked on the frames' own pixels."""

import math

import numpy as np
import pytest
import torch

from train.data import Frames
from train.recipe import Recipe
from train.sampling import Sampler, linear_maps

SIDE = 64


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def frames_of(masks: np.ndarray, source_index: list[int] | None = None) -> Frames:
    count = len(masks)
    index = np.array(source_index or [0] * count)
    sources = tuple(f"s{i}" for i in range(index.max() + 1))
    return Frames(np.zeros((*masks.shape, 3), np.uint8), masks, index, sources, ())


def discs(count: int, seed: int = 0) -> np.ndarray:
    """(count, SIDE, SIDE) masks, one disc of 3–8 pixels' radius each, some touching the border."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    centre, radius = random.integers(0, SIDE, (2, count, 1, 1)), random.integers(3, 9, (count, 1, 1))
    return np.where((x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= radius**2, 255, 0).astype(np.uint8)


def draws(sampler: Sampler, count: int):
    return [sampler.draw(generator(seed)) for seed in range(count)]


def shows_polyp(theta: torch.Tensor, mask: np.ndarray) -> bool:
    """Whether the centre of any polyp pixel falls into the output image."""
    row, column = np.nonzero(mask)
    xy = (2 * np.stack([column, row]) + 1) / SIDE - 1  # in the frame's coordinates −1…1
    linear, shift = theta[:, :2].double().numpy(), theta[:, 2:].double().numpy()
    output = np.linalg.solve(linear, xy - shift)
    return bool((np.abs(output) < 1).all(axis=0).any())


def zooms(theta: torch.Tensor) -> torch.Tensor:
    return torch.linalg.det(theta[:, :, :2]).abs().rsqrt()


def specks(count: int, seed: int = 0) -> np.ndarray:
    """(count, SIDE, SIDE) masks of two single pixels each: what a coarse look overlooks first."""
    random = np.random.default_rng(seed)
    masks = np.zeros((count, SIDE * SIDE), np.uint8)
    np.put_along_axis(masks, random.integers(0, SIDE * SIDE, (count, 2)), 255, axis=1)
    return masks.reshape(count, SIDE, SIDE)


@pytest.mark.parametrize("masks", [discs(40), specks(40)], ids=["discs", "specks"])
def test_polyp_free_crops_show_no_polyp_pixel_and_lie_inside_their_frame(masks):
    sampler = Sampler(frames_of(masks), Recipe(batch=16, polyp_free_crops=0.5))
    for placement in draws(sampler, 25):
        for frame, theta in zip(placement.frames[-7:], placement.theta[-7:], strict=True):
            assert not shows_polyp(theta, masks[frame])
            assert torch.linalg.det(theta[:, :2]).abs() > 1 / (2.5**2 * 1.001)
            if torch.linalg.det(theta[:, :2]).abs() < 1 / 2:  # small enough to fit in at any angle
                assert (theta[:, :2].abs().sum(1) + theta[:, 2].abs() <= 1.001).all()


def test_positive_crops_share_zoom_and_turn_with_the_polyp_free_ones_and_show_a_polyp():
    masks = discs(40)
    sampler = Sampler(frames_of(masks), Recipe(batch=16, polyp_free_crops=0.5))
    seen = []
    for placement in draws(sampler, 25):
        positive, polyp_free = placement.theta[2:9], placement.theta[9:]
        assert torch.equal(positive[:, :, :2], polyp_free[:, :, :2])
        seen += [shows_polyp(t, masks[f]) for f, t in zip(placement.frames[2:9], positive, strict=True)]
    assert np.mean(seen) > 0.95  # a turned crop cannot reach a polyp in the very corner


def test_zoom_spans_its_range():
    sampler = Sampler(frames_of(discs(40)), Recipe(batch=64, polyp_free_crops=0.25, zoom=(0.5, 2.0)))
    placements = draws(sampler, 20)
    ordinary = torch.cat([zooms(p.theta[:32]) for p in placements])
    crops = torch.cat([zooms(p.theta[32:]) for p in placements])
    assert ordinary.log2().min() == pytest.approx(-1, abs=0.05)
    assert ordinary.log2().max() == pytest.approx(1, abs=0.05)
    assert ordinary.log2().mean() == pytest.approx(0, abs=0.1)
    assert crops.min() >= 0.999
    assert crops.max() == pytest.approx(2.5, rel=0.05)


@pytest.mark.parametrize(("flip", "share"), [(0.0, 0.0), (0.25, 0.25), (1.0, 1.0)])
def test_mirror_images_take_their_share(flip, share):
    maps = linear_maps(torch.ones(1000), Recipe(flip=flip), generator())
    mirrored = (torch.linalg.det(maps) < 0).float().mean().item()
    assert mirrored == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 1000))


@pytest.mark.parametrize(("most", "seen"), [(0, {0}), (1, {0, 90}), (3, {0, 90, 180, 270})])
def test_quarter_turns_go_up_to_the_most(most, seen):
    recipe = Recipe(quarter_turns=most, rotation_degrees=0, stretch=0, flip=0)
    maps = linear_maps(torch.ones(100), recipe, generator())
    angles = torch.rad2deg(torch.atan2(maps[:, 1, 0], maps[:, 0, 0])).round().int() % 360
    assert set(angles.tolist()) == seen


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_an_image_moves_up_to_the_shift_beyond_its_border(shift):
    recipe = Recipe(batch=400, polyp_free_crops=0, zoom=(1.0, 1.0), shift=shift)
    moved = Sampler(frames_of(discs(20)), recipe).draw(generator()).theta[:, :, 2].abs().amax().item()
    assert moved == pytest.approx(shift, rel=0.01)


@pytest.mark.parametrize(
    ("sampling", "shares"),
    [("uniform", [0.9, 0.1]), ("square-root", [0.75, 0.25]), ("equal", [0.5, 0.5])],
)
def test_sources_are_drawn_by_their_weights(sampling, shares):
    """90 frames of one source against 10 of another: 9 : 1, √9 : √1 or 1 : 1."""
    source_index = np.array([0] * 90 + [1] * 10)
    recipe = Recipe(batch=100, sampling=sampling, polyp_free_crops=0)
    sampler = Sampler(frames_of(discs(100), source_index.tolist()), recipe)
    drawn = np.concatenate([source_index[p.frames] for p in draws(sampler, 40)])
    spread = math.sqrt(0.25 / len(drawn))
    np.testing.assert_allclose(np.bincount(drawn) / len(drawn), shares, atol=4 * spread)


def test_true_negatives_take_their_share_and_are_never_cropped_as_positives():
    masks = discs(50)
    masks[40:] = 0
    recipe = Recipe(batch=100, polyp_free_frames=0.2, polyp_free_crops=0.25)
    for placement in (placements := draws(Sampler(frames_of(masks), recipe), 40)):
        assert (placement.frames[50:] < 40).all()
    share = np.mean([(p.frames[:50] >= 40).float().mean() for p in placements])
    assert share == pytest.approx(0.2, abs=4 * math.sqrt(0.16 / 2000))


def test_the_share_of_crops_is_met_on_average():
    sampler = Sampler(frames_of(discs(20)), Recipe(batch=16, polyp_free_crops=0.09))
    crops = [(p.frames.shape[0], len(set(zooms(p.theta).tolist()))) for p in draws(sampler, 200)]
    assert {size for size, _ in crops} == {16}
    # a crop and its matched positive have one zoom between them
    assert np.mean([16 - distinct for _, distinct in crops]) == pytest.approx(1.44, abs=0.15)


@pytest.mark.parametrize("batch", [2, 3, 4])
def test_frames_full_of_polyp_still_give_a_batch(batch):
    masks = np.full((2, SIDE, SIDE), 255, np.uint8)
    sampler = Sampler(frames_of(masks), Recipe(batch=batch, polyp_free_crops=0.5))
    placement = sampler.draw(generator())
    assert len(placement.frames) == batch
    assert placement.theta.isfinite().all()


def test_a_batch_depends_on_its_generator_alone():
    sampler = Sampler(frames_of(discs(20)), Recipe())
    before = torch.get_rng_state()
    first, again, other = (sampler.draw(generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.frames, again.frames)
    assert torch.equal(first.theta, again.theta)
    assert not torch.equal(first.theta, other.theta)
