"""FCN and its twins: published counts, one trunk, exact folding, ONNX parity, and whose fc6 and fc7."""

from dataclasses import asdict

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from rtpolyp.errors import InputError
from tests.train.plans import as_plan
from train.complexity import giga_macs, parameter_count
from train.encoders import create_encoder
from train.export.graph import INPUT, ByteNetwork, to_onnx
from train.networks import FCN_HEADS, NetworkSpec, create_network
from train.networks.fcn import FCN8s

FOLDING_TOLERANCE = 1e-5  # relative: the same sums in float32, grouped otherwise
ONNX_TOLERANCE = 1  # of 255 levels: a sum in another order, at the edge of a rounding
GMAC_TOLERANCE = 0.01  # relative: the reference table has two decimals
SIDE = 64
SPECS = [
    NetworkSpec("fcn", "vgg16", head="conv"),
    NetworkSpec("fcn", "efficientnet-lite0"),
    NetworkSpec("fcn", "mobilenetv2"),
    NetworkSpec("fcn-if", "vgg16"),
    NetworkSpec("fcn-if", "efficientnet-lite0"),
    NetworkSpec("fcn-if", "mobilenetv2"),
]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def small_fcn8s():
    """FCN-8s with narrow fc6 and fc7: 34 times fewer weights, the same operations."""
    return FCN8s(create_encoder("vgg16", pretrained=False), fc_channels=32)


def settled(network, images):
    """In evaluation mode with features that do not fade and logits within ±4, as after training.

    Freshly made, batch norm lets the features of the light encoders fade and those of Res2Net grow.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(images)
        scale = 4 / network.eval()(images).abs().max()
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and module.out_channels == 1:  # scores: the logits are their sum
                module.weight *= scale
                module.bias *= scale
    return network


@pytest.mark.parametrize(
    ("spec", "parameters", "macs"),
    [
        (NetworkSpec("fcn", "vgg16"), 134_265_411, 52.36),
        (NetworkSpec("fcn-if", "vgg16"), 25_810_113, 45.55),
        # the trunk and 1×1 scores of 128, 256, 512 and 512 channels
        (NetworkSpec("fcn", "vgg16", head="conv"), 14_714_688 + 128 + 256 + 512 + 512 + 4, 37.91),
        (NetworkSpec("pranet", "res2net50"), 30_498_319, 13.00),
        (NetworkSpec("pranet-if", "res2net50"), 24_867_530, 12.12),
    ],
)
def test_networks_on_the_papers_encoders_have_the_published_size(spec, parameters, macs):
    with torch.device("meta"):  # shapes alone: half a gigabyte of weights takes a second to draw
        network = create_network(spec, pretrained=False)
        assert parameter_count(network) == parameters
        assert giga_macs(network, 352) == pytest.approx(macs, rel=GMAC_TOLERANCE)


@pytest.mark.parametrize("spec", [*SPECS, None], ids=str)
def test_one_head_in_training_and_its_map_in_evaluation(spec):
    network = create_network(spec, pretrained=False) if spec else small_fcn8s()
    images = torch.randn(2, 3, SIDE, SIDE)
    (logits,) = network.train()(images)
    assert logits.shape == (2, 1, SIDE, SIDE)
    logits.square().mean().backward()
    assert all(p.grad.abs().sum() > 0 for name, p in network.named_parameters() if name.endswith("weight"))
    with torch.inference_mode():
        assert network.eval()(images).shape == (2, 1, SIDE, SIDE)


def test_the_twins_share_one_trunk():
    twins = [create_network(spec, pretrained=False) for spec in (SPECS[0], SPECS[3])]
    plain, fused = ({k for k in twin.state_dict() if not k.startswith("fusion.")} for twin in twins)
    assert plain == fused


@pytest.mark.parametrize("encoder", ["vgg16", "efficientnet-lite0"])
def test_folding_changes_no_output(encoder):
    network = create_network(NetworkSpec("fcn-if", encoder), pretrained=False).eval()
    images = torch.randn(1, 3, SIDE, SIDE)
    with torch.inference_mode():
        expected = network(images)
        network.fold()
        folded = network(images)
    assert (folded - expected).abs().max() <= FOLDING_TOLERANCE * expected.abs().max()


@pytest.fixture(
    scope="module", params=[SPECS[0], SPECS[3], SPECS[4], None, NetworkSpec("fcn", "res2net50")], ids=str
)
def exported(request):
    """A network between bytes, frames that its logits are settled on, and its graph."""
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        # blocks of both kinds, in a third of the time that all sixteen take to export
        patch.setattr("train.encoders.res2net50.REPEATS", (2, 1, 1, 1))
        network = create_network(request.param, pretrained=False) if request.param else small_fcn8s()
    mean, std = network.encoder.mean, network.encoder.std
    frames = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3), np.uint8)
    images = (frames[..., ::-1] - np.float32(mean)) / np.float32(std)
    settled(network, torch.from_numpy(images).movedim(-1, 1))
    between_bytes = ByteNetwork(network, mean, std)
    return between_bytes, frames, to_onnx(between_bytes, (SIDE, SIDE))


def test_onnx_computes_what_pytorch_computes(exported):
    network, frames, graph = exported
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    (ours,) = session.run(None, {INPUT: frames})
    with torch.inference_mode():
        expected = network(torch.from_numpy(frames)).numpy()
    assert len(np.unique(expected)) > 10  # a constant would agree with anything
    assert np.abs(ours.astype(int) - expected).max() <= ONNX_TOLERANCE


def test_onnx_becomes_a_plan(exported, tensorrt_rtx):
    as_plan(exported[2], tensorrt_rtx)


def torchvision_state(encoder, fc_channels):
    """A state dict with torchvision's names and shapes, as large as `small_fcn8s`."""
    classifier = {
        "classifier.0.weight": torch.randn(fc_channels, 512 * 7 * 7),
        "classifier.0.bias": torch.randn(fc_channels),
        "classifier.3.weight": torch.randn(fc_channels, fc_channels),
        "classifier.3.bias": torch.randn(fc_channels),
        "classifier.6.weight": torch.randn(1000, fc_channels),
        "classifier.6.bias": torch.randn(1000),
    }
    return {**encoder.state_dict(), **classifier}


def test_fc6_is_the_classifier_as_a_convolution(tmp_path):
    network = small_fcn8s()
    state = torchvision_state(network.encoder, 32)
    torch.save(state, tmp_path / "vgg16.pth")
    network.load_classifier(tmp_path / "vgg16.pth")
    pooled = torch.randn(1, 512, 7, 7)
    with torch.inference_mode():
        expected = pooled.flatten(1) @ state["classifier.0.weight"].T + state["classifier.0.bias"]
        found = network.fc6(pooled)[:, :, 3, 3]  # the one position that sees all 7 × 7
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)
    assert torch.equal(network.fc7.weight[:, :, 0, 0], state["classifier.3.weight"])


def test_one_file_fills_the_encoder_and_fc6_and_fc7(tmp_path, monkeypatch):
    monkeypatch.setitem(FCN_HEADS, "fc", lambda encoder: FCN8s(encoder, fc_channels=32))
    state = torchvision_state(create_encoder("vgg16", pretrained=False), 32)
    torch.save(state, tmp_path / "vgg16.pth")
    network = create_network(NetworkSpec("fcn"), pretrained=tmp_path / "vgg16.pth")
    assert torch.equal(network.encoder.features[0].weight, state["features.0.weight"])
    assert torch.equal(network.fc6.bias, state["classifier.0.bias"])
    assert torch.equal(network.fc7.bias, state["classifier.3.bias"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classifier.0.weight": None}, r"missing: fc6\.weight"),
        (
            {"classifier.3.weight": torch.zeros(7, 32)},
            r"other shape: fc7\.weight \(7, 32\) for \(32, 32, 1, 1\)",
        ),
    ],
)
def test_another_classifier_fails_naming_the_layer(tmp_path, change, message):
    network = small_fcn8s()
    state = {**torchvision_state(network.encoder, 32), **change}
    torch.save({k: v for k, v in state.items() if v is not None}, tmp_path / "vgg16.pth")
    with pytest.raises(InputError, match=rf"vgg16\.pth: .*{message}"):
        network.load_classifier(tmp_path / "vgg16.pth")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (NetworkSpec("fcn", "efficientnet-lite0", head="fc"), "efficientnet-lite0 has none. Use --head conv"),
        (NetworkSpec("fcn", head="fan"), "head 'fan' is unknown; there are: fc, conv"),
        (NetworkSpec("fcn-if", head="conv"), "fcn-if has no choice of heads"),
        (NetworkSpec("pranet", head="conv"), "pranet has no choice of heads"),
        (NetworkSpec("fcn", stride4=True), "fcn always reads stride 4"),
        (NetworkSpec("fcn-if", stride4=False), "fcn-if always reads stride 4"),
    ],
)
def test_a_spec_that_cannot_be_built_fails_naming_it(spec, message):
    with pytest.raises(InputError, match=message):
        create_network(spec, pretrained=False)


@pytest.mark.parametrize("name", ["fcn", "fcn-if"])
def test_vgg16_is_the_default_encoder(name):
    assert NetworkSpec(name).encoder == "vgg16"


def test_a_stored_spec_without_a_head_still_builds():
    stored = asdict(NetworkSpec("pranet-if", "efficientnet-lite0"))
    del stored["head"]
    assert NetworkSpec(**stored) == NetworkSpec("pranet-if")
