"""Multiply-accumulates of layers whose count is known by hand."""

import pytest
import torch
from torch import nn

from train.complexity import giga_macs, parameter_count, scaled_giga_macs
from train.networks import NetworkSpec, create_network


class PerPixel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.linear(images.movedim(1, -1))


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), 32 * 32 * 8 * 3 * 9),
        (nn.Conv2d(3, 8, 3, padding=1, stride=2), 16 * 16 * 8 * 3 * 9),
        (nn.Conv2d(3, 6, 5, padding=2, groups=3), 32 * 32 * 6 * 25),
        (nn.ConvTranspose2d(3, 8, 2, stride=2), 32 * 32 * 8 * 3 * 4),
        (PerPixel(), 32 * 32 * 3 * 5),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1)), 32 * 32 * 20),
    ],
)
def test_macs_are_those_counted_by_hand(layer, macs):
    assert giga_macs(layer, 32) == macs / 1e9


def test_counting_leaves_the_network_as_it_was():
    network = create_network("pranet-if", pretrained=False).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert giga_macs(network, 128) == pytest.approx(4 * giga_macs(network, 64))
    assert network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def test_parameters_exclude_buffers():
    assert parameter_count(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))) == 8 * 27 + 8 + 16


def test_two_small_images_tell_the_operations_of_any_size():
    network = create_network(NetworkSpec("resunetpp-if", "efficientnet-lite0"), pretrained=False)
    assert scaled_giga_macs(network, 128) == pytest.approx(giga_macs(network, 128), rel=1e-12)
