"""An ensemble: the mean of its members' logits, its second look, its checkpoint, refusals."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from rtpolyp.errors import InputError
from tests.train import tiny_encoder
from train.checkpoint import Checkpoint, load_checkpoint, load_network, save_checkpoint
from train.data import TrainingFile
from train.networks import NetworkSpec, create_network
from train.networks.ensemble import Ensemble
from train.networks.second_look import HIDDEN
from train.optimisation import Numerics
from train.recipe import Recipe
from train.second_look.beside import joined


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_encoder.register(monkeypatch)


TINY = NetworkSpec("pranet-if", "tiny")


def member(seed: int, spec: NetworkSpec = TINY) -> Checkpoint:
    torch.manual_seed(seed)
    network = create_network(spec, pretrained=False)
    files = (TrainingFile("clinic:half", f"train{seed}.jpg", str(seed) * 64),)
    mean, std = network.encoder.mean, network.encoder.std
    weights = network.state_dict()
    return Checkpoint(spec, Recipe(), Numerics(False, False), 7, weights, mean, std, files, (), 0.9)


def test_its_logits_are_the_mean_of_its_members(tmp_path: Path):
    one, other = member(1), member(2)
    save_checkpoint(tmp_path / "both.pt", joined({"one.pt": one, "other.pt": other}))
    both = load_checkpoint(tmp_path / "both.pt")
    assert both.spec.encoder == "tiny+tiny"
    assert both.joined == ("one.pt", "other.pt")
    assert set(both.seen) == {*one.files, *other.files}
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        found, *alone = (load_network(checkpoint)(images) for checkpoint in (both, one, other))
    assert not torch.equal(*alone)
    torch.testing.assert_close(found, (alone[0] + alone[1]) / 2)


def test_its_second_look_reads_the_first_member_and_judges_what_all_outline():
    network = load_network(joined({"a": member(1), "b": member(2)}))
    assert isinstance(network, Ensemble)
    look = network.add_second_look().eval()
    look.put(nn.Linear(2 * sum(look.widths), HIDDEN), nn.Linear(HIDDEN, 1))
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        logits, features = network.evidence(images)
        torch.testing.assert_close(features, network.first.evidence(images)[1])
        torch.testing.assert_close(network(images), look(logits, features))


def test_what_cannot_be_joined_is_refused():
    one = member(1)
    with pytest.raises(
        InputError, match="b: pranet on tiny is no member of an ensemble with pranet-if on tiny"
    ):
        joined({"a": one, "b": member(2, NetworkSpec("pranet", "tiny"))})
    with pytest.raises(InputError, match="Give another pranet-if, on an encoder of the same family"):
        joined({"a": one, "b": replace(one, mean=(0.0, 0.0, 0.0))})
    with pytest.raises(InputError, match="'tiny\\+tiny': unet is no member of an ensemble"):
        create_network(NetworkSpec("unet", "tiny+tiny"), pretrained=False)


def test_it_is_not_trained():
    network = create_network(NetworkSpec("pranet-if", "tiny+tiny"), pretrained=False)
    with pytest.raises(InputError, match="an ensemble is not trained"):
        network.train()(torch.rand(1, 3, 64, 64))
