"""The weights of the fusion, on networks where they are set by hand."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from rtpolyp.errors import InputError
from tests.train import tiny_encoder
from tests.train.polyps import write_polyps
from train.__main__ import app
from train.checkpoint import Checkpoint, save_checkpoint
from train.command_line import run_command_line
from train.explain import explain
from train.networks import NetworkSpec, create_network
from train.networks.fusion import InformationFusion
from train.networks.layers import resize, resize_like
from train.optimisation import Numerics
from train.recipe import Recipe

RELATIVE = 1e-5  # float32 sums in another order


class ByHand(nn.Module):
    """Three constant stages 1, 2 and 3 at strides 4, 8 and 16, which fusion weighs by 3, −4 and 0.5."""

    def __init__(self) -> None:
        super().__init__()
        self.fusion = InformationFusion([2, 2, 4])
        with torch.no_grad():
            for parameter in self.fusion.parameters():
                parameter.zero_()  # refinement is then the identity
            self.fusion.classify.weight[0, 0] = 1.0
            self.fusion.classify.bias.fill_(100.0)  # belongs to no stage
            for project, weight in zip(self.fusion.project, (3.0, -4.0, 0.5), strict=True):
                project.weight[0, 0] = weight

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        side = images.shape[-1]
        stages = [torch.full((len(images), c, side // s, side // s), v) for c, s, v in STAGES]
        return resize(self.fusion(stages), images.shape[-2:]) + 7.0


STAGES = ((2, 4, 1.0), (2, 8, 2.0), (4, 16, 3.0))  # channels, stride, value


def test_shares_are_those_of_the_weights_set_by_hand():
    found = explain(ByHand().eval())
    assert [(stage.stride, stage.channels) for stage in found.stages] == [(4, 2), (8, 2), (16, 4)]
    assert [stage.norm for stage in found.stages] == pytest.approx([3, 4, 0.5])
    assert [stage.share for stage in found.stages] == pytest.approx([0.4, 4 / 7.5, 0.5 / 7.5])
    assert {stage.added for stage in found.stages} == {None}
    assert found.beside is None


def test_what_is_added_is_weight_times_feature():
    batches = [torch.zeros(2, 3, 64, 64), torch.zeros(1, 3, 64, 64)]
    found = explain(ByHand().eval(), batches)
    assert [stage.added for stage in found.stages] == pytest.approx([3, 8, 1.5])
    assert found.beside == pytest.approx(7)


def test_a_norm_is_over_all_channels():
    network = ByHand().eval()
    with torch.no_grad():
        network.fusion.classify.weight[0, :, 0, 0] = torch.tensor([1.0, 2.0])
        network.fusion.project[2].weight[:, :, 0, 0] = torch.tensor([[1.0, 0, 0, 2], [1, 0, 2, 0]])
    assert explain(network).stages[2].norm == pytest.approx((3**2 + 4**2 + 2**2) ** 0.5)


@pytest.mark.parametrize("name", ["pranet-if", "fcn-if"])
def test_stages_and_the_rest_add_up_to_the_networks_logits(name, monkeypatch):
    tiny_encoder.register(monkeypatch)
    torch.manual_seed(0)
    network = create_network(NetworkSpec(name, "tiny"), pretrained=False).eval()
    images = torch.randn(1, 3, 64, 64)
    maps: list[torch.Tensor] = []
    monkeypatch.setattr("train.explain.resize_like", lambda x, y: maps.append(resize_like(x, y)) or maps[-1])
    found = explain(network, [images])
    *stages, fused = maps
    with torch.inference_mode():
        total = resize(sum(stages) + network.fusion.classify.bias, (64, 64))
        logits = network(images)
    torch.testing.assert_close(total, fused, rtol=RELATIVE, atol=RELATIVE)
    assert found.beside == pytest.approx((logits - total).abs().mean().item(), abs=1e-5)
    assert (found.beside > 1e-3) == (name == "pranet-if")  # S_g


@pytest.mark.parametrize("name", ["unetpp-if", "resunetpp-if"])
def test_networks_with_an_encoder_of_their_own_can_be_explained(name):
    torch.manual_seed(0)
    network = create_network(name, pretrained=False).eval()
    found = explain(network, [torch.randn(1, 3, 64, 64)])
    assert [stage.stride for stage in found.stages] == [1, 2, 4, 8][: len(found.stages)]
    assert sum(stage.share for stage in found.stages) == pytest.approx(1)
    assert all(stage.added > 0 for stage in found.stages)
    assert found.beside == 0


@pytest.mark.parametrize("spec", [NetworkSpec("pranet", "tiny"), NetworkSpec("fcn", "tiny")])
def test_a_network_without_fusion_fails(spec, monkeypatch):
    tiny_encoder.register(monkeypatch)
    network = create_network(spec, pretrained=False)
    with pytest.raises(InputError, match=f"{type(network).__name__} has no information fusion"):
        explain(network)
    network = create_network(NetworkSpec("pranet-if", "tiny"), pretrained=False).eval()
    network.fold()
    with pytest.raises(InputError, match="PraNetIF has no information fusion"):
        explain(network)


def write_checkpoint(path: Path, spec: NetworkSpec) -> str:
    network = create_network(spec, pretrained=False)
    mean, std = network.encoder.mean, network.encoder.std
    recipe = Recipe(sizes=((64, 1.0),))
    numerics = Numerics(channels_last=False, bfloat16=False)
    save_checkpoint(path, Checkpoint(spec, recipe, numerics, 1, network.state_dict(), mean, std, (), (), 0.5))
    return str(path)


def test_the_command_prints_a_row_a_stage(monkeypatch, tmp_path, capsys):
    tiny_encoder.register(monkeypatch)
    data = f"{write_polyps(tmp_path / 'clinic')}:half"
    best = write_checkpoint(tmp_path / "best.pt", NetworkSpec("pranet-if", "tiny"))
    assert run_command_line(app, ["--explain", best]) == 0
    rows = re.findall(r"│ (\d+) +│ +(\d+) │ +[\d.]+ │ +([\d.]+)% │ +– │", capsys.readouterr().out)
    assert [row[:2] for row in rows] == [("8", "32"), ("16", "32"), ("32", "32")]
    assert sum(float(share) for _, _, share in rows) == pytest.approx(100, abs=0.2)
    assert run_command_line(app, ["--explain", best, "--data", data]) == 0
    output = capsys.readouterr().out
    assert len(re.findall(r"% │ +\d+\.\d{3} │", output)) == 3
    assert re.search(r"beside the fusion +│.* \d+\.\d{3} │", output)


def test_the_command_without_weights_fails(capsys):
    assert run_command_line(app, ["--explain", "/nowhere/best.pt"]) == 2
    assert capsys.readouterr().err.startswith("rtpolyp: /nowhere/best.pt: no such checkpoint")
