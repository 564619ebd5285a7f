"""The second look: what it leaves alone, what it lowers, and what it is fitted to."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from rtpolyp.errors import InputError
from train.checkpoint import load_checkpoint, load_network
from train.data import load_frames, parse_source
from train.networks.pranet import PraNetIF
from train.networks.second_look import HIGHEST, mean_within
from train.position_box import find_box
from train.second_look.fit import (
    EVERY,
    FOLDS,
    Look,
    Outlines,
    _means,
    fit,
    folds_of,
    outlines_of,
)
from train.second_look.point import choose
from train.second_look.views import held_out_of, views_of


def sure_of(presence: float, width: int) -> Look:
    """A look that gives every outline the same presence logit."""
    look = Look(width)
    nn.init.zeros_(look.last.weight)
    nn.init.constant_(look.last.bias, presence)
    return look


def outlines(count: int = 600, distance: float = 4.0) -> Outlines:
    """Ten features, of which the first tells polyps; confidence tells nothing."""
    random = np.random.default_rng(0)
    is_polyp = random.random(count) < 0.6
    features = random.normal(5, 3, (count, 10)).astype(np.float32)
    features[:, 0] += distance * 3 * is_polyp
    return Outlines(
        features, random.uniform(0.5, 1, count).astype(np.float32), is_polyp, np.arange(count) % FOLDS
    )


def test_the_mask_stays_and_the_probability_inside_falls_with_the_presence(checkpoint):
    network = load_network(load_checkpoint(checkpoint))
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    plain = network(images)
    look = network.add_second_look().eval()
    half = sure_of(0.0, 2 * sum(look.widths))
    look.put(half.first, half.last)
    looked = network(images)
    assert (plain > 0).any()
    assert torch.equal(looked > 0, plain > 0)
    assert torch.equal(looked[plain <= 0], plain[plain <= 0])
    torch.testing.assert_close(looked[plain > 0], plain[plain > 0].clamp(max=HIGHEST) / 2)
    network.train()
    assert len(network(images)) == 2  # heads as without it


def test_a_mean_is_one_for_a_part_and_passes_to_no_other():
    region = torch.zeros(1, 1, 32, 32)
    region[..., 2:12, 2:12] = 1
    region[..., 25:30, 2:25] = 1  # further than half a window below
    values = torch.zeros(1, 2, 32, 32)
    values[:, 0, 2:12, 2:7] = 6.0  # the left half of the first part
    values[:, 0, 25:30] = -8.0
    values[:, 1] = 1.0
    means = mean_within(region, region, values)
    first, second = means[0, 0, 2:12, 2:12], means[0, 0, 25:30, 2:25]
    assert first.std() < 0.3 * values[0, 0, 2:12, 2:12].std()
    torch.testing.assert_close(first.mean(), torch.tensor(3.0), rtol=0, atol=0.1)
    torch.testing.assert_close(second, torch.full_like(second, -8.0))
    torch.testing.assert_close(means[0, 1][region[0, 0] > 0], torch.ones(int(region.sum())))
    weight = region.clone()
    weight[..., 2:12, 2:7] = 0.0  # what has no weight says nothing, and hears of the others
    torch.testing.assert_close(
        mean_within(region, weight, values)[0, 0, 2:12, 2:12], torch.zeros(10, 10), rtol=0, atol=1e-5
    )


def test_the_graph_judges_an_outline_as_the_fit_reads_it(checkpoint, clinic):
    """Its presence is that of the fitted look on the means of the outline's features, or close to it."""
    base = load_checkpoint(checkpoint)
    network = load_network(base)
    assert isinstance(network, PraNetIF)
    second = network.add_second_look().eval()
    torch.manual_seed(1)
    look = Look(2 * sum(second.widths)).eval()
    second.put(look.first, look.last)
    maps = [torch.rand(1, width, 32 >> place, 32 >> place) for place, width in enumerate(second.widths[:3])]
    maps += [torch.rand(1, width, 32 >> place, 32 >> place) for place, width in enumerate(second.widths[3:])]
    inside = np.zeros((256, 256), bool)
    inside[64:160, 80:200] = True
    logits = torch.where(torch.from_numpy(inside), 3.0, -3.0)[None, None]
    with torch.no_grad():
        scaled = second(logits, maps)[0, 0][torch.from_numpy(inside)] / 3
        means = np.concatenate(_means([m[0] for m in maps], inside))
        expected = torch.sigmoid(look(torch.from_numpy(means)[None]))
    torch.testing.assert_close(scaled.mean(), expected[0], rtol=0, atol=0.01)


def test_a_fit_finds_what_tells_polyps_and_judges_each_outline_by_other_folds():
    some = outlines()
    found = fit(some)
    told = (found.whole.last.weight @ found.whole.first.weight)[0].abs()
    assert told[0] > 3 * told[1:].max()
    right = (found.presence >= 0.5) == some.is_polyp
    assert right.mean() > 0.9
    # what is fitted to cannot leak: with random truth, left-out folds are guessed
    random = np.random.default_rng(1).permutation(some.is_polyp)
    guessed = (fit(replace(some, is_polyp=random)).presence >= 0.5) == random
    assert 0.35 < guessed.mean() < 0.65


def test_what_every_look_is_fitted_to_is_judged_by_none(monkeypatch):
    some = outlines()
    asked = []
    monkeypatch.setattr(
        "train.second_look.fit.fitted", lambda features, _: asked.append(len(features)) or Look(10)
    )
    fit(replace(some, fold=np.where(some.is_polyp, some.fold, EVERY)))
    others = np.count_nonzero(~some.is_polyp)
    assert asked[0] == len(some.is_polyp)
    assert all(count > others for count in asked)
    assert sum(asked[1:]) == FOLDS * len(some.is_polyp) - (len(some.is_polyp) - others)


def test_outlines_of_one_kind_are_refused():
    some = outlines(20)
    with pytest.raises(InputError, match=r"the 20 outlines on the val parts are too few or all of one kind"):
        fit(replace(some, is_polyp=np.ones(20, bool)))


def test_outlines_of_one_group_share_a_fold_and_are_polyps_by_their_overlap(checkpoint, clinic):
    base = load_checkpoint(checkpoint)
    network = load_network(base)
    assert isinstance(network, PraNetIF)
    frames = load_frames([parse_source(f"{clinic}:half")], "val", 64)
    folds = folds_of([f"group {place // 8}" for place in range(len(frames))])
    found = outlines_of(network, base, frames, folds)
    assert set(found.fold.tolist()) <= {0, 1, 2}
    everything = replace(frames, masks=np.full_like(frames.masks, 255))
    nothing = replace(frames, masks=np.zeros_like(frames.masks))
    assert not outlines_of(network, base, nothing, folds).is_polyp.any()
    assert (found.confidence >= 0.5).all()
    assert found.features.shape == (len(found.is_polyp), 2 * sum(network.add_second_look().widths))
    assert outlines_of(network, base, everything, folds).is_polyp.sum() <= len(frames)


def test_the_point_is_chosen_by_looks_that_were_fitted_to_other_frames(checkpoint, clinic):
    """A look that knows nothing of its own fold doubts all of it; one that knew it would be sure."""
    base = load_checkpoint(checkpoint)
    network = load_network(base)
    assert isinstance(network, PraNetIF)
    width = 2 * sum(network.add_second_look().eval().widths)
    frames = load_frames([parse_source(f"{clinic}:half")], "val", 64)
    folds = folds_of([str(place) for place in range(len(frames))])
    sure, doubtful = (sure_of(presence, width) for presence in (9.0, -9.0))
    chosen = choose(network, base, frames, folds, [doubtful, sure, sure, sure, sure])
    assert chosen.outcomes.keys() == {"stills", "recorded"}
    assert network.second_look is not None
    assert network.second_look.verdict.bias.item() == 9.0  # the last fold's was put last
    all_sure = choose(network, base, frames, folds, [sure] * FOLDS)
    assert all_sure.outcomes["stills"]["half"] == chosen.outcomes["stills"]["half"]  # masks at 0.5 stay
    with pytest.raises(InputError, match="needs val frames with a polyp and frames without one, and none"):
        choose(network, base, replace(frames, masks=np.zeros_like(frames.masks)), folds, [sure] * FOLDS)


def test_a_position_box_tells_nothing(clinic):
    """In two of six views, frames with a polyp have a box and those without have lost theirs."""
    frames = load_frames([parse_source(f"{clinic}:half")], "val", 64)
    has_polyp = frames.masks.any(axis=(1, 2))
    frames.images[~has_polyp, 42:, :22] = 0  # as recorders paint it, lower left
    views = views_of(frames)
    assert [len(view) for view in views] == [len(frames)] * 6
    boxes = [[find_box(image) is not None for image in view.images] for view in (views[0], views[4])]
    assert not np.any(np.array(boxes[0])[has_polyp])
    assert np.all(np.array(boxes[0])[~has_polyp])
    assert not np.any(np.array(boxes[1])[~has_polyp])
    painted = (views[4].images.max(axis=3) == 0).mean(axis=(1, 2)) > 0.03  # some smaller than real ones
    assert painted[has_polyp].mean() > 0.8  # none where it would hide the polyp
    assert all(view.masks.any(axis=(1, 2)).tolist() == has_polyp.tolist() for view in views)


def test_crops_join_where_few_frames_are_without_a_polyp(checkpoint, clinic, monkeypatch):
    base, source = load_checkpoint(checkpoint), parse_source(f"{clinic}:half")
    frames, folds = held_out_of(base, [source], 64)
    has_polyp = frames.masks.any(axis=(1, 2))
    assert np.count_nonzero(has_polyp) == 19
    assert len(frames) == len(folds) == len(frames.files) == len(frames.source_index) == 24 + 19
    shown = dict(zip(frames.files[:24], folds[:24], strict=True))
    assert not has_polyp[24:].any()
    assert all(shown[file] == fold for file, fold in zip(frames.files[24:], folds[24:], strict=True))
    monkeypatch.setattr("train.second_look.views.ENOUGH_FRAMES", 5)
    assert len(held_out_of(base, [source], 64)[0]) == 24


def test_a_group_of_two_splits_of_a_folder_has_one_fold(checkpoint, clinic, free, tmp_path):
    """PolypGen's groups have frames with a polyp in one split and frames without in another."""
    folder = shutil.copytree(clinic, tmp_path / "clinic")
    for name in ("images", "masks"):
        for file in (free / name).glob("val0.*"):
            file.rename(folder / name / f"free{file.suffix}")
    for part in ("train", "val"):
        (folder / "splits" / f"negatives_{part}.txt").write_text("free\n")
    (folder / "groups.csv").write_text("stem,family,group\nval0,,patient\nfree,,patient\n")
    sources = [parse_source(f"{folder}:{split}") for split in ("half", "negatives")]
    frames, folds = held_out_of(load_checkpoint(checkpoint), sources, 64)
    assert [file.name for file in frames.files[:25:24]] == ["val0.jpg", "free.jpg"]
    assert folds[0] == folds[24] != folds[1]
