"""Augmentation: masks follow images, colours stay colours, and a seed means one batch."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from train.augmentation.augment import _interlace, _jpeg, augment, normalise
from train.recipe import Recipe
from train.sampling import Placement, linear_maps

GEOMETRY_ONLY = Recipe(brightness=0, contrast=0, saturation=0, hue_degrees=0, blur=0, noise=0, jpeg=0)
COLOUR_ONLY = Recipe(brightness=1, contrast=1, saturation=1, hue_degrees=180, blur=0, noise=0, jpeg=0)
DEGRADED = Recipe(interlace=1, blur=1, noise=1, jpeg=1)
SIDE = 96


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def green_disc() -> tuple[torch.Tensor, torch.Tensor]:
    """A pure green disc of 18 pixels' radius off the centre of a red frame, and its mask."""
    y, x = np.mgrid[:SIDE, :SIDE]
    inside = (x - 56) ** 2 + (y - 40) ** 2 <= 18**2
    image = np.where(inside[:, :, None], (0, 255, 0), (150, 0, 40)).astype(np.uint8)
    return torch.from_numpy(image)[None], torch.from_numpy(255 * inside.astype(np.uint8))[None]


def placed(count: int, recipe: Recipe, seed: int = 0) -> Placement:
    zoom = torch.linspace(0.8, 1.6, count)
    shift = 0.2 * torch.rand(count, 2, 1, generator=generator(seed)) - 0.1
    theta = torch.cat([linear_maps(zoom, recipe, generator(seed)), shift], dim=2)
    return Placement(torch.zeros(count, dtype=torch.int64), theta)


def identity(count: int) -> Placement:
    return Placement(torch.zeros(count, dtype=torch.int64), torch.eye(2, 3).expand(count, 2, 3))


def test_the_mask_is_where_the_disc_is():
    pictures, target = augment(*green_disc(), placed(32, Recipe()), 64, GEOMETRY_ONLY, generator())
    assert pictures.shape == (32, 3, 64, 64)
    assert target.shape == (32, 1, 64, 64)
    assert torch.equal(target[:, 0] > 0, pictures[:, 1] > 127.5)


def test_a_disc_keeps_its_area_and_its_place_under_the_map():
    placement = placed(32, Recipe(stretch=0))
    _, target = augment(*green_disc(), placement, SIDE, GEOMETRY_ONLY, generator())
    for mask, theta in zip(target[:, 0].numpy(), placement.theta.double().numpy(), strict=True):
        zoom = np.abs(np.linalg.det(theta[:, :2])) ** -0.5
        assert mask.sum() == pytest.approx(np.pi * 18**2 * zoom**2, rel=0.03)
        centre = 2 * (np.argwhere(mask).mean(0)[::-1] + 0.5) / SIDE - 1  # x, y in −1…1
        expected = 2 * np.array([56.5, 40.5]) / SIDE - 1
        np.testing.assert_allclose(theta[:, :2] @ centre + theta[:, 2], expected, atol=1 / SIDE)


def test_the_mask_still_fits_when_the_picture_is_degraded():
    pictures, target = augment(*green_disc(), placed(32, Recipe()), 64, DEGRADED, generator())
    found = pictures[:, 1:2] > pictures[:, 0:1] + 60  # noise, beyond the frame's border too, stays below
    both = (found & (target > 0)).flatten(1).sum(1)
    either = (found | (target > 0)).flatten(1).sum(1)
    assert (both / either).min() > 0.9


@pytest.mark.parametrize("recipe", [COLOUR_ONLY, DEGRADED])
def test_colours_stay_in_range_and_targets_binary(recipe):
    noise = torch.randint(0, 256, (1, SIDE, SIDE, 3), dtype=torch.uint8, generator=generator())
    noise[:, : SIDE // 2] = torch.where(noise[:, : SIDE // 2] > 127, 255, 0)  # the extremes too
    pictures, target = augment(noise, green_disc()[1], placed(32, recipe), 64, recipe, generator())
    assert pictures.dtype == target.dtype == torch.float32
    assert 0 <= pictures.min() < 1
    assert 254 < pictures.max() <= 255
    assert set(target.unique().tolist()) == {0.0, 1.0}


def test_a_black_border_stays_black():
    image, mask = green_disc()
    image[:, :, :20] = torch.randint(0, 6, (SIDE, 20, 3), dtype=torch.uint8, generator=generator())
    pictures, _ = augment(image, mask, identity(16), SIDE, COLOUR_ONLY, generator())
    before = image[0].permute(2, 0, 1).float().expand(16, -1, -1, -1)
    torch.testing.assert_close(pictures[..., :19], before[..., :19], rtol=0, atol=0.01)
    changed = (pictures - before)[..., 21:].abs().flatten(1).amax(1)
    assert (changed > 1).sum() >= 15


def test_what_lies_outside_the_frame_is_black_and_no_polyp():
    everything = torch.full((1, SIDE, SIDE), 255, dtype=torch.uint8)
    image = torch.full((1, SIDE, SIDE, 3), 200, dtype=torch.uint8)
    half = Placement(
        torch.zeros(4, dtype=torch.int64), torch.tensor([[2.0, 0, 0], [0, 2.0, 0]]).repeat(4, 1, 1)
    )
    pictures, target = augment(image, everything, half, 64, COLOUR_ONLY, generator())
    assert (pictures[:, :, :15] == 0).all()
    assert (target[:, :, :15] == 0).all()
    assert (target[:, :, 17:47, 17:47] == 1).all()


def test_a_batch_depends_on_its_generator_alone():
    before = torch.get_rng_state()
    batches = [augment(*green_disc(), placed(8, DEGRADED), 64, DEGRADED, generator(s)) for s in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(batches[0][0], batches[1][0])
    assert not torch.equal(batches[0][0], batches[2][0])


def test_interlacing_leaves_a_still_of_one_colour_alone():
    picture = torch.tensor([200.0, 90.0, 3.0])[:, None, None].expand(8, 3, SIDE, SIDE)
    woven = _interlace(picture, torch.linspace(0, 1, 8), generator())
    torch.testing.assert_close(woven, picture, rtol=0, atol=1e-3)


def test_interlaced_lines_show_two_moments_of_a_movement():
    """On ramps along x and y, where a moved picture differs by the movement, in pixels."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    picture = torch.stack([x, y, torch.full_like(x, 50)]).float().expand(16, 3, SIDE, SIDE)
    strength = torch.linspace(0, 1, 16)
    difference = (_interlace(picture, strength, generator()) - picture)[:, :, 4:-4, 4:-4]  # off the border
    even, odd = difference[:, :, 0::2], difference[:, :, 1::2]
    movement = even.mean((2, 3))  # (N, 3)
    torch.testing.assert_close(even, movement[:, :, None, None].expand_as(even), rtol=0, atol=1e-3)
    torch.testing.assert_close(odd, -movement[:, :, None, None].expand_as(odd), rtol=0, atol=1e-3)
    assert movement[:, 2].abs().max() < 1e-3
    _, comb = torch.rand(2, 16, generator=generator())  # 1: every line from one moment, 0: a mean of both
    expected = comb * strength * 0.03 * SIDE / 2  # pixels, half of the way from one moment to the other
    torch.testing.assert_close(movement.norm(dim=1), expected, rtol=0, atol=1e-3)
    assert expected.max() > 0.5


def test_interlacing_is_drawn_with_its_probability_and_spares_the_mask():
    recipe = replace(GEOMETRY_ONLY, interlace=0.25)
    image, mask = green_disc()
    pictures, target = augment(image, mask, identity(400), SIDE, recipe, generator())
    plain, same = augment(image, mask, identity(1), SIDE, GEOMETRY_ONLY, generator())
    share = ((pictures - plain).flatten(1).abs().amax(1) > 1).float().mean().item()
    assert share == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 400) ** 0.5)
    assert torch.equal(target, same.expand_as(target))


@pytest.mark.parametrize("quality", [30, 50, 85])
def test_jpeg_loses_what_a_real_encoder_loses(quality):
    """On grey pictures, where OpenCV's encoder has no chroma to subsample."""
    y, x = np.mgrid[:SIDE, :SIDE]
    random = np.random.default_rng(0)
    grey = 128 + 60 * np.sin(x / 7) * np.cos(y / 11) + random.normal(0, 12, (SIDE, SIDE))
    grey = grey.clip(0, 255).astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE).astype(np.float32)
    picture = torch.from_numpy(grey).float().expand(1, 3, SIDE, SIDE)
    ours = _jpeg(picture, torch.tensor([(quality - 25) / 65]), generator())[0, 0].numpy()
    loss = np.abs(decoded - grey).mean()
    assert loss > 1
    assert np.abs(ours - decoded).mean() < 0.3 * loss  # the encoder rounds its quantisation table
    assert np.abs(ours - grey).mean() == pytest.approx(loss, rel=0.1)


def test_normalise_is_per_channel():
    images = torch.tensor([10.0, 20.0, 30.0])[None, :, None, None].expand(2, 3, 4, 4)
    normalised = normalise(images, (8.0, 20.0, 33.0), (2.0, 5.0, 6.0))
    assert normalised[0, :, 0, 0].tolist() == [1.0, 0.0, -0.5]
