"""U-Net, U-Net++ and ResUNet++ on light encoders, and the ablations of their fusion and PraNet's."""

import pytest
import torch

from tests.train.test_unets import FOLDING_TOLERANCE, LIGHT, MACS_TOLERANCE, PUBLISHED
from train.complexity import giga_macs, parameter_count
from train.encoders import create_encoder
from train.networks import NetworkSpec, create_network

# on EfficientNet-Lite0: parameters, GMAC at 192 pixels, and there once folded
ON_LIGHT = {
    "unet": (3_719_873, 0.526, 0.526),
    "unet-if": (4_115_937, 0.701, 0.614),
    "unetpp": (3_401_897, 0.600, 0.600),
    "unetpp-if": (3_501_049, 0.644, 0.623),
    "resunetpp": (5_994_129, 0.993, 0.993),
    "resunetpp-if": (6_390_193, 1.167, 1.080),
}
ABLATED = [
    NetworkSpec("unet-if", LIGHT[0], ablation="sum"),
    NetworkSpec("unet-if", LIGHT[0], ablation="weights"),
    NetworkSpec("unet", LIGHT[0], ablation="wide"),
    NetworkSpec("pranet-if", LIGHT[0], stride4=False, ablation="sum"),
    NetworkSpec("pranet-if", LIGHT[0], stride4=False, ablation="weights"),
    NetworkSpec("pranet", LIGHT[0], ablation="wide"),
]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", ON_LIGHT)
def test_size_on_a_light_encoder(name):
    parameters, *published = ON_LIGHT[name]
    with torch.device("meta"):
        network = create_network(NetworkSpec(name, LIGHT[0]), pretrained=False)
        macs = [giga_macs(network, 192)]
        if hasattr(network, "fold"):
            network.eval().fold()
        macs.append(giga_macs(network, 192))
    assert parameter_count(create_network(NetworkSpec(name, LIGHT[0]), pretrained=False)) == parameters
    assert macs == pytest.approx(published, rel=MACS_TOLERANCE)


@pytest.mark.parametrize("encoder", LIGHT)
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_light_encoder_is_read_at_strides_2_to_32_and_is_one_in_both_arms(name, encoder):
    plain, fused = (
        create_network(NetworkSpec(net, encoder), pretrained=False) for net in (name, f"{name}-if")
    )
    assert tuple(plain.encoder.strides) == (2, 4, 8, 16, 32)
    trunks = [
        {key: v.shape for key, v in net.state_dict().items() if not key.startswith(("classify.", "fusion."))}
        for net in (plain, fused)
    ]
    assert trunks[0] == trunks[1]
    alone = create_encoder(encoder, pretrained=False)
    assert alone.state_dict().keys() == plain.encoder.state_dict().keys()  # its ImageNet weights fit
    with torch.inference_mode():
        features = plain.encoder.eval()(torch.randn(1, 3, 64, 96))
    shapes = [
        (1, c, 64 // s, 96 // s) for c, s in zip(plain.encoder.out_channels, (2, 4, 8, 16, 32), strict=True)
    ]
    assert [tuple(feature.shape) for feature in features] == shapes


@pytest.mark.parametrize("spec", ABLATED, ids=lambda spec: f"{spec.name}-{spec.ablation}")
def test_an_ablated_network_trains_and_folds_exactly(spec):
    network = create_network(spec, pretrained=False)
    heads = network.train()(torch.randn(2, 3, 64, 64))
    sum(head.square().mean() for head in heads).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = network.eval()(images)
        if hasattr(network, "fold"):
            network.fold()
        folded = network(images)
    assert (folded - expected).abs().max() <= FOLDING_TOLERANCE * expected.abs().max()


def test_an_ablated_fusion_has_the_rest_of_the_module():
    def parts(ablation: str | None) -> set[str]:
        spec = NetworkSpec("unet-if", LIGHT[0], ablation=ablation)
        names = create_network(spec, pretrained=False).fusion.state_dict()
        return {name.split(".")[0] for name in names}

    assert parts(None) == {"refine", "project", "classify"}
    assert parts("sum") == {"refine", "classify"}
    assert parts("weights") == {"project", "classify"}


@pytest.mark.parametrize(
    ("wide", "fused"),
    [
        (NetworkSpec("unet", LIGHT[0], ablation="wide"), NetworkSpec("unet-if", LIGHT[0])),
        (NetworkSpec("pranet", LIGHT[0], ablation="wide"), NetworkSpec("pranet-if", LIGHT[0], stride4=False)),
    ],
)
def test_the_widened_decoder_has_as_many_parameters_as_the_fused_network(wide, fused):
    with torch.device("meta"):
        ours, theirs = (parameter_count(create_network(spec, pretrained=False)) for spec in (wide, fused))
    assert theirs <= ours <= 1.01 * theirs
