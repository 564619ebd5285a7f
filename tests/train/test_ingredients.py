"""What can be added to the recipe, one by one: each does what it says and leaves the rest of a batch."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from rtpolyp.errors import InputError
from tests.train.test_sampling import discs, frames_of, generator, shows_polyp
from train.augmentation.augment import _motion_blur, augment
from train.augmentation.draws import stream
from train.augmentation.overlays import add_borders, add_text
from train.augmentation.paste import paste_patches, paste_polyps
from train.augmentation.transfer import lab_from_rgb, rgb_from_lab, transfer_colours
from train.data import TrainingFile
from train.distillation import distilled_loss, soft_masks
from train.hard_crops import HardCrop, read_hard_crops, write_hard_crops
from train.recipe import Recipe
from train.sampling import Sampler

SIDE = 64
TWO_SOURCES = [0] * 20 + [1] * 20
PLAIN = Recipe(batch=16, brightness=0, contrast=0, saturation=0, hue_degrees=0, blur=0, noise=0, jpeg=0)
ADDED = {
    "copy_paste": 0.25, "transfer": 0.5, "borders": 0.5, "text": 0.5, "motion_blur": 0.5, "paint_box": 0.5,
}  # fmt: skip


def coloured(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames of two sources, the second one bluer and darker, with the masks of `discs`."""
    masks = discs(40, seed)
    noise = np.random.default_rng(seed).normal(0, 8, (40, SIDE, SIDE, 3))
    base = np.where(np.array(TWO_SOURCES)[:, None] == 0, (170, 90, 60), (90, 60, 80))[:, None, None]
    images = (base + noise + 40 * (masks[..., None] > 0)).clip(0, 255).astype(np.uint8)
    return torch.from_numpy(images), torch.from_numpy(masks)


def batch(recipe: Recipe, seed: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    images, masks = coloured()
    sampler = Sampler(frames_of(masks.numpy(), TWO_SOURCES), recipe)
    drawn = generator(seed)
    return augment(images, masks, sampler.draw(drawn), SIDE, recipe, drawn)


@pytest.mark.parametrize("name", ADDED)
def test_an_ingredient_changes_its_images_and_no_other(name):
    """On the same seed: pairs of recipes are compared on the same frames, crops and colours."""
    recipe = Recipe(batch=16)
    pictures, target = batch(recipe)
    changed, changed_target = batch(replace(recipe, **{name: ADDED[name]}))
    same = [torch.equal(a, b) for a, b in zip(pictures, changed, strict=True)]
    # noise and blur come after, on the same images: one that is untouched is so to the last bit
    assert 3 <= same.count(True) <= 13
    touches_masks = name in ("copy_paste", "borders", "text", "paint_box")
    same_masks = [torch.equal(a, b) for a, b in zip(target, changed_target, strict=True)]
    assert all(m for m, s in zip(same_masks, same, strict=True) if s or not touches_masks)
    assert torch.equal(changed, batch(replace(recipe, **{name: ADDED[name]}))[0])


def test_streams_differ_by_name_and_seed_and_take_nothing():
    one = generator(5)
    before = one.get_state()
    draws = {
        (seed, name): torch.rand(3, generator=stream(generator(seed), name)).tolist()
        for seed in (5, 6)
        for name in ("a", "b")
    }
    assert torch.rand(3, generator=stream(one, "a")).tolist() == draws[5, "a"]
    assert torch.equal(one.get_state(), before)
    assert len({tuple(values) for values in draws.values()}) == 4


def test_lab_is_opencvs_and_comes_back():
    rgb = np.random.default_rng(0).integers(0, 256, (50, 40, 3)).astype(np.float32)
    pictures = torch.from_numpy(rgb).permute(2, 0, 1)[None]
    lab = lab_from_rgb(pictures)
    expected = cv2.cvtColor(rgb / 255, cv2.COLOR_RGB2Lab)
    np.testing.assert_allclose(lab[0].permute(1, 2, 0).numpy(), expected, atol=0.5)  # OpenCV interpolates
    torch.testing.assert_close(rgb_from_lab(lab), pictures, rtol=0, atol=0.3)


def test_transferred_frames_have_the_others_statistics_and_keep_their_border():
    images, _ = coloured()
    own, others = images[:4].clone(), images[20:24]
    own[:, :, :10] = 3
    pictures = own.permute(0, 3, 1, 2).float()
    moved = transfer_colours(pictures, own, others)
    assert torch.equal(moved[..., :10], pictures[..., :10])
    lit, other = (lab_from_rgb(x).flatten(2) for x in (moved[..., 10:], others.permute(0, 3, 1, 2).float()))
    torch.testing.assert_close(lit.mean(2), other.mean(2), rtol=0, atol=2.0)  # of 100; a 4th of the pixels
    assert (lit.std(2) / other.std(2)).log().abs().max() < 0.3


def test_colours_come_from_another_source():
    recipe = Recipe(batch=16, transfer=1.0)
    source = torch.tensor(TWO_SOURCES)
    sampler = Sampler(frames_of(discs(40), TWO_SOURCES), recipe)
    for seed in range(10):
        drawn = sampler.draw(generator(seed))
        assert (source[drawn.references] != source[drawn.frames]).all()


def test_transfer_fails_with_one_source():
    with pytest.raises(InputError, match="transfer: takes colours of another source, and there is one"):
        Sampler(frames_of(discs(20)), Recipe(transfer=0.25))


def test_borders_blacken_the_rim_and_empty_the_mask_there():
    pictures, target = torch.full((64, 3, SIDE, SIDE), 120.0), torch.ones(64, 1, SIDE, SIDE)
    bordered, emptied = add_borders(pictures, target, generator())
    black = (bordered.amax(1, keepdim=True) < 8).float()
    assert torch.equal(emptied, 1 - black)
    assert (black[:, :, SIDE // 2 - 3 : SIDE // 2 + 3, SIDE // 2 - 3 : SIDE // 2 + 3] == 0).all()
    share = black.mean((1, 2, 3))
    assert share.min() < 0.1 < 0.3 < share.max() < 0.65


def test_text_is_drawn_along_the_sides_and_empties_the_mask():
    pictures, target = torch.full((64, 3, SIDE, SIDE), 120.0), torch.ones(64, 1, SIDE, SIDE)
    written, emptied = add_text(pictures, target, generator())
    touched = (written != pictures).any(1, keepdim=True).float()
    assert torch.equal(emptied, 1 - touched)
    share = touched.mean((1, 2, 3))
    assert share.min() > 0
    assert share.max() < 0.45
    assert touched[:, :, :, SIDE // 2].mean() < touched[:, :, :, SIDE // 8].mean() / 2


@pytest.mark.parametrize("degrees", [0, 90, 45])
def test_a_smear_is_along_one_line_and_keeps_the_light(degrees, monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *size, generator: torch.full(size, degrees / 180))
    picture = torch.zeros(1, 3, 31, 31)
    picture[:, :, 15, 15] = 1000
    smeared = _motion_blur(picture, torch.ones(1), generator())
    assert smeared.sum().item() == pytest.approx(3000, rel=1e-4)
    row, column = (smeared[0, 0] > 1).nonzero().unbind(1)
    x, y = column - 15.0, row - 15.0
    angle = np.deg2rad(degrees)
    assert (y * np.cos(angle) - x * np.sin(angle)).abs().max() < 1
    assert (x**2 + y**2).sqrt().max().item() == pytest.approx(5, abs=0.7)


def test_a_pasted_polyp_fits_in_and_is_in_the_mask():
    pictures, donors = torch.full((1, 3, SIDE, SIDE), 100.0), torch.full((1, 3, SIDE, SIDE), 160.0)
    polyps = torch.from_numpy(discs(1)[:, None] // 255).float()
    donors = donors + 30 * polyps
    mixed, target = paste_polyps(pictures, torch.zeros_like(polyps), donors, polyps)
    assert torch.equal(target, polyps)
    inner = -nn.functional.max_pool2d(-polyps, 9, 1, 4) > 0
    outer = nn.functional.max_pool2d(polyps, 11, 1, 5) == 0
    # what is around the polyp is 100 in place of 160, and no channel is changed by more than LARGEST_GAIN
    assert mixed[inner.expand_as(mixed)].mean().item() == pytest.approx(190 / 1.3, abs=1)
    assert torch.equal(mixed[outer.expand_as(mixed)], pictures[outer.expand_as(mixed)])
    steps = (mixed[..., 1:] - mixed[..., :-1]).abs()
    assert steps.max() < 25  # of 46: half of the donor's own edge, and the feather


def test_nothing_is_pasted_on_a_black_box():
    pictures = torch.full((1, 3, SIDE, SIDE), 100.0)
    pictures[..., SIDE // 2 :, : SIDE // 2] = 0
    polyps = torch.ones(1, 1, SIDE, SIDE)
    mixed, target = paste_polyps(pictures, torch.zeros_like(polyps), torch.full_like(pictures, 90.0), polyps)
    is_box = pictures[:, :1] == 0
    assert target[is_box].sum() == 0
    assert target[~is_box].mean() == 1
    deep = -nn.functional.max_pool2d(-is_box.float(), 9, 1, 4) > 0
    assert mixed[deep.expand_as(mixed)].max() == 0


def test_a_patch_changes_the_mucosa_and_keeps_clear_of_the_polyp():
    polyps = torch.from_numpy(discs(8)[:, None] // 255).float()
    pictures, lent = torch.full((8, 3, SIDE, SIDE), 100.0), torch.full((8, 3, SIDE, SIDE), 100.0)
    lent += torch.arange(SIDE) % 7  # another texture of nearly the same colour
    patched = paste_patches(pictures, polyps, lent, generator())
    changed = (patched != pictures).any(1, keepdim=True)
    assert changed.flatten(1).any(1).all()
    assert not (changed & (polyps > 0)).any()


@pytest.mark.parametrize("where", ["any", "same"])
def test_pasted_images_are_polyp_free_crops_with_a_donor(where):
    masks, source = discs(40), torch.tensor(TWO_SOURCES)
    recipe = Recipe(batch=16, copy_paste=0.25, copy_paste_from=where, polyp_free_crops=0.1)
    sampler = Sampler(frames_of(masks, TWO_SOURCES), recipe)
    agree = []
    for seed in range(20):
        drawn = sampler.draw(generator(seed))
        assert len(drawn.frames) == 16
        assert len(drawn.pasted) == len(drawn.donors.frames) == 4
        for row, donor in zip(drawn.pasted, drawn.donors.frames, strict=True):
            assert not shows_polyp(drawn.theta[row], masks[drawn.frames[row]])
            agree.append(bool(source[donor] == source[drawn.frames[row]]))
    assert all(agree) == (where == "same")
    assert sum(agree) > 20


def test_a_batch_with_pasted_polyps_has_more_of_them():
    empty = [(batch(replace(PLAIN, polyp_free_crops=0.3), s)[1].amax((1, 2, 3)) == 0).sum() for s in range(8)]
    recipe = replace(PLAIN, polyp_free_crops=0.3, copy_paste=0.3)
    pasted = [(batch(recipe, s)[1].amax((1, 2, 3)) == 0).sum() for s in range(8)]
    assert sum(pasted) <= sum(empty) + 4  # what was pasted on is not counted as polyp-free


def with_files(masks: np.ndarray):
    files = tuple(TrainingFile("s:half", f"f{index}.png", f"{index:064}") for index in range(len(masks)))
    return replace(frames_of(masks), files=files)


def test_hard_crops_take_their_share_of_the_polyp_free_ones_upright_and_whole():
    frames = with_files(discs(20))
    crops = [
        HardCrop("f3.png", f"{3:064}", 0.5, 0.25, 0.25, 0.5, 0.9),
        HardCrop("f4.png", f"{4:064}", 0, 0, 0.5, 0.5, 0.1),
    ]
    recipe = Recipe(batch=16, polyp_free_crops=0.3, hard_crops=0.5)
    plain = Sampler(frames, recipe)
    sampler = Sampler(frames, recipe, crops)
    seen = []
    for seed in range(60):
        drawn, usual = sampler.draw(generator(seed)), plain.draw(generator(seed))
        assert torch.equal(drawn.theta[:6], usual.theta[:6])  # ordinary ones
        for frame, theta in zip(drawn.frames[-4:], drawn.theta[-4:], strict=True):
            box = theta[:, :2].abs().sum(1)
            if frame == 3 and torch.allclose(box.sort().values, torch.tensor([0.25, 0.5])):
                seen.append(theta)
    centres = torch.stack([theta[:, 2] for theta in seen])
    torch.testing.assert_close(centres, torch.tensor([[0.25, 0.0]]).expand_as(centres))
    assert 0.3 < len(seen) / 240 < 0.6  # half of them, nine times in ten this crop


def test_hard_crops_of_other_frames_are_refused():
    crop = HardCrop("elsewhere.png", "f" * 64, 0, 0, 0.5, 0.5, 0.5)
    with pytest.raises(
        InputError, match=r"elsewhere.png: 1 of 1 hard crops are of frames that are not trained"
    ):
        Sampler(with_files(discs(4)), Recipe(), [crop])


def test_a_list_of_hard_crops_comes_back_hardest_first(tmp_path):
    crops = [HardCrop("a.png", "0" * 64, 0.1, 0.2, 0.3, 0.4, score) for score in (0.2, 0.9, 0.5)]
    write_hard_crops(crops, tmp_path / "hard.csv")
    assert [crop.score for crop in read_hard_crops(tmp_path / "hard.csv")] == [0.9, 0.5, 0.2]
    assert read_hard_crops(tmp_path / "hard.csv")[2] == crops[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\n", "holds no crop"),
        ("name,sha256,x,y,width,height,score\na,b,0.9,0,0.2,0.1,0.5\n", "0.9 . 0.2 is not inside the frame"),
        ("name,sha256,x,y,width,height,score\na,b,0,0,0.2,0.1,0\n", "score 0"),
        ("name,sha256\na,b\n", "KeyError"),
    ],
)
def test_a_broken_list_of_hard_crops_fails(text, message, tmp_path):
    (tmp_path / "hard.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_hard_crops(tmp_path / "hard.csv")


def test_a_perfect_copy_of_the_teachers_has_no_loss(redness_net):
    images = 255 * torch.rand(2, 3, 32, 32, generator=generator())
    soft = soft_masks([redness_net, redness_net], images, torch.ones(2, 1, 32, 32))
    logits = torch.logit(soft.clamp(1e-6, 1 - 1e-6))
    assert soft.shape == (2, 1, 32, 32)
    assert distilled_loss(logits, soft).item() == pytest.approx(0, abs=1e-5)
    assert distilled_loss(logits + 1, soft) > 1e-3


def test_teachers_are_not_believed_where_no_polyp_is(redness_net):
    images = 255 * torch.rand(2, 3, 32, 32, generator=generator())
    target = torch.zeros(2, 1, 32, 32)
    target[0, :, :8] = 1
    soft = soft_masks([redness_net], images, target)
    assert torch.equal(soft[0], soft_masks([redness_net], images, target[:1])[0])
    assert soft[0].min() > 0
    assert soft[1].max() == 0
