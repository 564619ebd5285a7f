"""U-Net, U-Net++, ResUNet++ and their twins: published sizes, heads, folding, export, own encoders."""

import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from rtpolyp.errors import InputError
from tests.train.plans import as_plan
from train.__main__ import app
from train.command_line import run_command_line
from train.complexity import giga_macs, parameter_count
from train.export.graph import ByteNetwork, to_onnx
from train.export.parity import EXACT, compare, reference
from train.networks import LIGHT_ENCODERS, OWN_ENCODED, NetworkSpec, create_network
from train.networks.fusion import InformationFusion
from train.networks.unetpp import UNetPlusPlus

FOLDING_TOLERANCE = 1e-5  # relative: the same sums in float32, grouped otherwise
MACS_TOLERANCE = 0.01  # relative; the published figures have two decimals

# parameters, GMAC at 352 pixels, GMAC at 256
PUBLISHED = {
    "unet": (31_037_633, 91.07, 48.17),
    "unetpp": (9_163_329, 65.20, 34.49),
    "resunetpp": (4_062_993, 29.62, 15.67),
}
LIGHT = ("efficientnet-lite0", "mobilenetv2")
# channels fused, parameters, GMAC at 352 pixels; the reference has no others
PUBLISHED_IF = {
    "unet-if": ((64, 128, 256, 512), 37_368_129, 128.56),
    "unetpp-if": ((32, 64, 128, 256), 10_746_497, 74.57),
    "resunetpp-if": ((16, 64, 128), 4_440_033, 34.84),
}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@torch.no_grad()
def as_trained(network: nn.Module) -> nn.Module:
    """In evaluation, with norms that are no identities and logits of mean 0 and deviation 2.

    Fresh norms would hide a wrong fold, and fresh logits, all near 0, any difference.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.1, 0.1)
    (classifier,) = (m for m in network.modules() if isinstance(m, nn.Conv2d) and m.out_channels == 1)
    logits = network.eval()(torch.randn(1, 3, 64, 64))
    gain = 2 / logits.std()
    classifier.weight.mul_(gain)
    classifier.bias.sub_(logits.mean()).mul_(gain)
    return network


@pytest.mark.parametrize("name", PUBLISHED)
def test_size_is_the_published_one(name):
    with torch.device("meta"):
        network = create_network(name)
        macs = giga_macs(network, 352), giga_macs(network, 256)
    parameters, *published = PUBLISHED[name]
    assert parameter_count(network) == parameters
    assert macs == pytest.approx(published, rel=MACS_TOLERANCE)


@pytest.mark.parametrize("name", PUBLISHED_IF)
def test_size_with_fusion_is_the_reference_s(name):
    with torch.device("meta"):
        network = create_network(name)
        macs = giga_macs(network, 352)
    channels, parameters, published = PUBLISHED_IF[name]
    assert tuple(unit.conv1.in_channels for unit in network.fusion.refine) == channels
    assert parameter_count(network) == parameters
    assert macs == pytest.approx(published, rel=MACS_TOLERANCE)


@pytest.mark.parametrize("name", PUBLISHED)
def test_with_and_without_fusion_the_trunk_is_one(name):
    def trunk(name: str) -> dict[str, tuple[int, ...]]:
        with torch.device("meta"):
            state = create_network(name).state_dict()
        return {key: v.shape for key, v in state.items() if not key.startswith(("classify.", "fusion."))}

    assert trunk(name) == trunk(f"{name}-if")


@pytest.mark.parametrize("name", OWN_ENCODED)
def test_training_gives_a_tuple_and_evaluation_the_final_logits(name):
    network = create_network(name).train()
    images = torch.randn(2, 3, 64, 96)
    (logits,) = network(images)
    assert logits.shape == (2, 1, 64, 96)
    logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    with torch.inference_mode():
        assert network.eval()(images).shape == (2, 1, 64, 96)


def test_deep_supervision_gives_four_heads_the_final_one_first():
    network = UNetPlusPlus(deep_supervision=True)
    assert parameter_count(network) == 9_163_428
    for module in network.modules():  # so that training and evaluation compute the same
        if isinstance(module, nn.BatchNorm2d):
            module.momentum, module.training = 0.0, False
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        heads = network(images)
        final = network.eval()(images)
    assert [head.shape for head in heads] == [(1, 1, 64, 64)] * 4
    assert torch.equal(heads[0], final)
    assert not any(torch.equal(head, final) for head in heads[1:])


@pytest.mark.parametrize("name", PUBLISHED_IF)
def test_folding_changes_no_output(name):
    network = as_trained(create_network(name))
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = network(images)
        network.fold()
        folded = network(images)
    assert not any(isinstance(module, InformationFusion) for module in network.modules())
    assert (folded - expected).abs().max() <= FOLDING_TOLERANCE * expected.abs().max()


@pytest.fixture(
    scope="module",
    params=[*map(NetworkSpec, OWN_ENCODED), *(NetworkSpec(n, LIGHT[0]) for n in PUBLISHED_IF)],
    ids=lambda spec: f"{spec.name}-{spec.encoder}",
)
def exported(request):
    """A network, as trained, and its graph for frames of 96 × 64."""
    torch.manual_seed(0)
    network = as_trained(create_network(request.param, pretrained=False))
    return network, to_onnx(ByteNetwork(network, network.encoder.mean, network.encoder.std), (96, 64))


def test_exported_agrees_with_pytorch(exported):
    network, model = exported
    frames = np.random.default_rng(1).integers(0, 256, (2, 64, 96, 3), np.uint8)
    expected = reference(network, frames)
    assert np.ptp(expected) > 200
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    difference = compare(expected, session.run(["probability"], {"frames": frames})[0])
    assert difference.levels <= EXACT.levels
    assert difference.flipped <= 10 * EXACT.flipped  # of 12,288 pixels, all of them near 0.5


def test_exported_becomes_a_plan(exported, tensorrt_rtx):
    as_plan(exported[1], tensorrt_rtx)


@pytest.mark.parametrize(("name", "multiple"), [("unet", 16), ("unetpp", 16), ("resunetpp", 8)])
@pytest.mark.parametrize("twin", ["", "-if"])
def test_a_size_that_does_not_halve_often_enough_fails_naming_it(name, multiple, twin):
    with torch.device("meta"):
        network = create_network(name + twin).eval()
        assert network(torch.zeros(1, 3, multiple, 64)).shape == (1, 1, multiple, 64)
        with pytest.raises(
            InputError, match=f"image size 100×64: both sides must be multiples of {multiple}"
        ):
            network(torch.zeros(1, 3, 100, 64))


@pytest.mark.parametrize("name", OWN_ENCODED)
def test_the_encoder_publishes_its_features(name):
    encoder = create_network(name).encoder.eval()
    with torch.inference_mode():
        features = encoder(torch.randn(1, 3, 32, 64))
    published = zip(encoder.out_channels, encoder.strides, strict=True)
    assert [tuple(feature.shape) for feature in features] == [(1, c, 32 // s, 64 // s) for c, s in published]


def test_the_spec_says_own_encoder():
    assert NetworkSpec("unet") == NetworkSpec("unet", "own")
    assert NetworkSpec("pranet-if").encoder == "efficientnet-lite0"


@pytest.mark.parametrize(
    ("spec", "pretrained", "message"),
    [
        (NetworkSpec("unet", "vgg16"), False, "encoder 'vgg16' publishes nothing at stride 2. Use effic"),
        (NetworkSpec("unet-if", ablation="sum"), False, "ablation: unet-if has it on a light encoder. Add"),
        (NetworkSpec("unet", LIGHT[0], ablation="sum"), False, "ablation 'sum' is none of unet; there are:"),
        (NetworkSpec("fcn", ablation="wide"), False, "wide of unet, pranet"),
        (NetworkSpec("unet-if", stride4=True), False, "unet-if has its stages fixed. Leave stride4"),
        (NetworkSpec("unetpp"), Path("vgg.pth"), "vgg.pth: unetpp with its own encoder takes no backbone"),
        (NetworkSpec("unet"), "imagenet", "imagenet: unet with its own encoder takes no"),
        (NetworkSpec("pranet", "own"), False, "encoder 'own' is unknown"),
    ],
)
def test_an_encoder_that_does_not_fit_fails_naming_it(spec, pretrained, message):
    with pytest.raises(InputError, match=re.escape(message)):
        create_network(spec, pretrained)


def test_list_shows_each_on_its_own_encoder_and_on_the_light_ones_with_its_size(capsys, monkeypatch):
    light = LIGHT_ENCODERS[:1]  # all of them take half a minute
    for name in ("LIGHT_ENCODERS", "ENCODERS"):
        monkeypatch.setattr(f"train.__main__.{name}", light)
    assert run_command_line(app, ["--list"]) == 0
    output = capsys.readouterr().out
    for name, (parameters, *macs) in PUBLISHED.items():
        figures = " │ +".join([f"{parameters:,}", *(f"{value:.2f}" for value in macs)])
        encoders = re.findall(rf"│ {name} +│ (\S+)", output)
        assert encoders == ["own", *light]
        assert re.search(rf"│ {name} +│ own +│ +{figures} │", output)
    for name in ("pranet", "pranet-if"):
        count = parameter_count(create_network(name, pretrained=False))
        assert re.search(rf"│ {name} +│ efficientnet-lite0 +│ +{count:,} │ +[\d.]+ │ +[\d.]+ │", output)
