"""The networks: published parameter counts, heads, sizes, and the exactness of folding."""

import pytest
import torch
from torch import nn

from rtpolyp.errors import InputError
from train.networks import NetworkSpec, create_network
from train.networks.fusion import InformationFusion
from train.networks.layers import PartialDecoder, ReceptiveFieldBlock
from train.networks.pranet import ReverseAttention

FOLDING_TOLERANCE = 1e-5  # relative: the same sums in float32, grouped otherwise


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("block", "count"),
    [
        (lambda: ReceptiveFieldBlock(512, 32), 178_112),
        (lambda: ReceptiveFieldBlock(1024, 32), 260_032),
        (lambda: ReceptiveFieldBlock(2048, 32), 423_872),
        (lambda: PartialDecoder(32), 277_473),
        (lambda: ReverseAttention(2048, 256, kernel=5, depth=3, last_kernel=1), 5_441_794),
        (lambda: ReverseAttention(1024, 64, kernel=3, depth=2, last_kernel=3), 140_226),
        (lambda: ReverseAttention(512, 64, kernel=3, depth=2, last_kernel=3), 107_458),
        # what pranet-if with Res2Net-50 (24,867,530) has beside trunk and encoder
        (lambda: InformationFusion([32, 32, 32]), 58_689),
    ],
)
def test_blocks_have_the_published_parameter_counts(block, count):
    assert parameters(block()) == count


@pytest.mark.parametrize(("name", "heads"), [("pranet", 4), ("pranet-if", 2)])
def test_training_gives_all_heads_and_evaluation_the_final_one(name, heads):
    network = create_network(name, pretrained=False)
    images = torch.randn(2, 3, 64, 96)
    logits = network.train()(images)
    assert [tuple(head.shape) for head in logits] == [(2, 1, 64, 96)] * heads
    sum(head.mean() for head in logits).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    with torch.inference_mode():
        assert network.eval()(images).shape == (2, 1, 64, 96)


def with_learned_norms(network):
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return network


@pytest.mark.parametrize(
    "spec",
    [NetworkSpec("pranet"), NetworkSpec("pranet-if"), NetworkSpec("pranet-if", stride4=False)],
)
def test_folding_changes_no_output(spec):
    network = with_learned_norms(create_network(spec, pretrained=False)).eval()
    images = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        expected = network(images)
        network.fold()
        folded = network(images)
    assert (folded - expected).abs().max() <= FOLDING_TOLERANCE * expected.abs().max()


def test_stride4_adds_the_finest_branch():
    network = create_network(NetworkSpec("pranet-if", stride4=True), pretrained=False)
    assert [unit.conv1.in_channels for unit in network.fusion.refine] == [24, 32, 32, 32]
    assert network.fusion.classify.in_channels == 24


@pytest.mark.parametrize("name", ["pranet", "pranet-if"])
def test_a_size_that_is_no_multiple_of_32_fails_naming_it(name):
    with pytest.raises(InputError, match="image size 100×64: both sides must be multiples of 32"):
        create_network(name, pretrained=False)(torch.randn(1, 3, 100, 64))


def test_an_unknown_network_fails_listing_what_exists():
    with pytest.raises(InputError, match="there are: pranet, pranet-if"):
        create_network("unet9000", pretrained=False)
