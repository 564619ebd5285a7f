"""The second look: what it leaves alone, what it lowers, what it is fitted to, and the command."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rtpolyp.errors import InputError
from tests.train import tiny_encoder
from tests.train.polyps import write_polyps
from train.augmentation.augment import normalise
from train.checkpoint import Checkpoint, load_checkpoint, load_network, save_checkpoint
from train.command_line import run_command_line
from train.data import TrainingFile, load_frames, parse_source
from train.initial import load_initial
from train.networks import NetworkSpec, create_network
from train.networks.pranet import PraNetIF
from train.networks.second_look import HIGHEST, over_outlines
from train.optimisation import Numerics
from train.recipe import Recipe
from train.second_look.__main__ import app
from train.second_look.fit import FOLDS, Outlines, Weights, fit, folds_of, outlines_of
from train.second_look.point import choose


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_encoder.register(monkeypatch)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_polyps(tmp_path_factory.mktemp("data") / "clinic", val=24, polyp_free=5)


@pytest.fixture
def checkpoint(clinic: Path, tmp_path: Path) -> Path:
    """A random network that outlines a quarter of each frame."""
    torch.manual_seed(0)
    spec = NetworkSpec("pranet-if", "tiny")
    network = create_network(spec, pretrained=False).eval()
    frames = load_frames([parse_source(f"{clinic}:half")], "val", 64)
    images = torch.from_numpy(frames.images).permute(0, 3, 1, 2).float()
    mean, std = network.encoder.mean, network.encoder.std
    logits = network(normalise(images, mean, std)).detach()
    weights = network.state_dict()
    bias = next(name for name, one in weights.items() if name.startswith("fusion") and one.shape == (1,))
    weights[bias] = weights[bias] - torch.quantile(logits, 0.75)
    files = (TrainingFile("clinic:half", "train0.jpg", "0" * 64),)
    path = tmp_path / "best.pt"
    save_checkpoint(
        path, Checkpoint(spec, Recipe(), Numerics(False, False), 7, weights, mean, std, files, (), 0.9)
    )
    return path


def outlines(count: int = 200, distance: float = 4.0) -> Outlines:
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
    widths = sum(look.widths)
    look.put(torch.zeros(widths), torch.tensor([0.0]))  # a presence of a half
    looked = network(images)
    assert (plain > 0).any()
    assert torch.equal(looked > 0, plain > 0)
    assert torch.equal(looked[plain <= 0], plain[plain <= 0])
    torch.testing.assert_close(looked[plain > 0], plain[plain > 0].clamp(max=HIGHEST) / 2)
    network.train()
    assert len(network(images)) == 2  # heads as without it


def test_an_outline_is_doubted_as_a_whole_and_the_next_one_is_not():
    logits = torch.full((1, 1, 256, 256), -3.0)
    logits[..., 16:96, 16:96] = 3  # 10 × 10 cells at stride 8
    logits[..., 200:240, 16:200] = 3  # further than half a window below
    presence = torch.zeros(1, 1, 32, 32)
    presence[..., 2:12, 2:7] = 6.0  # the left half of the first outline
    presence[..., 25:30, :] = -8.0
    pooled = over_outlines(presence, logits)
    first, second = pooled[0, 0, 2:12, 2:12], pooled[0, 0, 25:30, 2:25]
    assert first.std() < 0.3 * presence[0, 0, 2:12, 2:12].std()
    torch.testing.assert_close(first.mean(), torch.tensor(3.0), rtol=0, atol=0.1)
    torch.testing.assert_close(second, torch.full_like(second, -8.0))


def test_a_fit_finds_what_tells_polyps_and_judges_each_outline_by_other_folds():
    some = outlines()
    found = fit(some)
    assert found.whole.weight[0] > 3 * found.whole.weight[1:].abs().max()
    right = (found.presence >= 0.5) == some.is_polyp
    assert right.mean() > 0.9
    # what is fitted to cannot leak: with random truth, left-out folds are guessed
    random = np.random.default_rng(1).permutation(some.is_polyp)
    guessed = (fit(replace(some, is_polyp=random)).presence >= 0.5) == random
    assert 0.35 < guessed.mean() < 0.65


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
    assert found.features.shape == (len(found.is_polyp), sum(network.add_second_look().widths))
    assert outlines_of(network, base, everything, folds).is_polyp.sum() <= len(frames)


def test_the_point_is_chosen_by_looks_that_were_fitted_to_other_frames(checkpoint, clinic):
    """A look that knows nothing of its own fold doubts all of it; one that knew it would be sure."""
    base = load_checkpoint(checkpoint)
    network = load_network(base)
    assert isinstance(network, PraNetIF)
    widths = sum(network.add_second_look().eval().widths)
    frames = load_frames([parse_source(f"{clinic}:half")], "val", 64)
    folds = folds_of([str(place) for place in range(len(frames))])
    sure, doubtful = (Weights(torch.zeros(widths), torch.tensor([bias])) for bias in (9.0, -9.0))
    chosen = choose(network, base, frames, folds, [doubtful, sure, sure, sure, sure])
    assert chosen.outcomes.keys() == {"stills", "recorded"}
    assert network.second_look is not None
    assert network.second_look.scores[0].bias.item() == 9.0  # the last fold's was put last
    all_sure = choose(network, base, frames, folds, [sure] * FOLDS)
    assert all_sure.outcomes["stills"]["half"] == chosen.outcomes["stills"]["half"]  # masks at 0.5 stay
    with pytest.raises(InputError, match="needs val frames with a polyp and frames without one, and none"):
        choose(network, base, replace(frames, masks=np.zeros_like(frames.masks)), folds, [sure] * FOLDS)


def test_the_command_writes_a_checkpoint_that_has_seen_the_frames(
    checkpoint, clinic, tmp_path, capsys, monkeypatch
):
    kinds = iter([True, False] * 500)
    monkeypatch.setattr("train.second_look.fit._iou", lambda *_: 0.9 if next(kinds) else 0.0)
    out = tmp_path / "looked.pt"
    code = run_command_line(
        app, [str(checkpoint), "--data", f"{clinic}:half", "--size", "64", "-o", str(out)]
    )
    assert code == 0
    assert " outlines on validation frames and on their mirrored recordings, " in capsys.readouterr().out
    looked, base = load_checkpoint(out), load_checkpoint(checkpoint)
    assert load_network(looked).second_look is not None
    assert looked.second_look is not None
    assert looked.second_look["size"] == 64
    assert set(looked.second_look["point"]) == {"threshold", "minimum_area", "minimum_confidence"}
    assert {file.name for file in looked.seen} == {file.name for file in base.seen} | {
        f"val{n}.jpg" for n in range(24)
    }
    assert load_initial(str(out)).ema.keys() == base.ema.keys()  # what goes on from it begins without


def test_other_networks_have_none(redness_checkpoint, mini_source, tmp_path, capsys):
    data = f"{mini_source.folder}:{mini_source.split}"
    assert run_command_line(app, [str(redness_checkpoint), "--data", data, "-o", str(tmp_path / "x.pt")]) == 2
    assert "redness has no second look. Give a checkpoint of pranet-if" in capsys.readouterr().err
