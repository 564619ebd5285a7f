"""Learning rate, weight decay groups, averaged weights, and the choice of numerics."""

import copy

import pytest
import torch
from torch import nn

from rtpolyp.errors import InputError
from tests.train import tiny_encoder
from train import optimisation
from train.networks import NetworkSpec, create_network
from train.optimisation import (
    Numerics,
    WeightAverage,
    create_optimiser,
    fastest_numerics,
    set_learning_rate,
)
from train.recipe import Recipe

NCHW, NHWC = Numerics(False, False), Numerics(True, False)
NCHW_BFLOAT16, NHWC_BFLOAT16 = Numerics(False, True), Numerics(True, True)
NCHW_FLOAT16, NHWC_FLOAT16 = Numerics(False, False, True), Numerics(True, False, True)


@pytest.fixture
def network(monkeypatch) -> nn.Module:
    tiny_encoder.register(monkeypatch)
    torch.manual_seed(0)
    return create_network(NetworkSpec("pranet-if", "tiny"), pretrained=False)


def test_every_parameter_is_optimised_once_and_only_weights_decay(network):
    recipe = Recipe(lr_encoder=1e-4, lr_decoder=1e-3, weight_decay=0.05)
    optimiser = create_optimiser(network, recipe)
    group_of = {id(p): group for group in optimiser.param_groups for p in group["params"]}
    assert sum(len(group["params"]) for group in optimiser.param_groups) == len(list(network.parameters()))
    for name, parameter in network.named_parameters():
        group = group_of[id(parameter)]
        assert group["peak"] == (1e-4 if name.startswith("encoder.") else 1e-3)
        assert group["weight_decay"] == (0.05 if name.endswith("weight") and parameter.ndim == 4 else 0)


def test_the_learning_rate_is_one_cycle(network):
    recipe = Recipe(steps=100, warmup=0.1, lr_encoder=1e-4, lr_decoder=1e-3)
    optimiser = create_optimiser(network, recipe)
    rates = [set_learning_rate(optimiser, step, recipe) for step in range(100)]
    assert rates[0] == pytest.approx(0.04e-3)
    assert rates[10] == max(rates) == pytest.approx(1e-3)
    assert rates[55] == pytest.approx(0.5005e-3)
    assert rates[-1] == pytest.approx(
        1e-3 * (0.001 + 0.999 * 0.0003046), rel=1e-4
    )  # (1 + cos(π 89 / 90)) / 2
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    for group in optimiser.param_groups:
        assert group["lr"] == pytest.approx(rates[-1] * group["peak"] / 1e-3)


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_the_learning_rate_is_finite_without_warm_up_and_with_nothing_else(network, warmup):
    recipe = Recipe(steps=5, warmup=warmup)
    optimiser = create_optimiser(network, recipe)
    assert all(0 < set_learning_rate(optimiser, step, recipe) <= recipe.lr_decoder for step in range(5))


def test_the_average_is_the_written_out_one():
    network = nn.BatchNorm2d(2)
    average = WeightAverage(network, decay=0.9)
    weight, mean = network.weight.detach().clone(), network.running_mean.clone()
    generator = torch.Generator().manual_seed(0)
    for step in range(1, 200):
        with torch.no_grad():
            network.weight.copy_(torch.randn(2, generator=generator))
            network.running_mean.copy_(torch.randn(2, generator=generator))
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        weight = decay * weight + (1 - decay) * network.weight.detach()
        mean = decay * mean + (1 - decay) * network.running_mean
    torch.testing.assert_close(average.network.weight, weight)
    torch.testing.assert_close(average.network.running_mean, mean)
    assert not average.network.weight.requires_grad


@pytest.mark.parametrize(
    ("seconds", "fastest"),
    [
        ({NCHW: 1.067, NHWC: 0.778, NCHW_BFLOAT16: 3.906, NHWC_BFLOAT16: 0.617}, NHWC_BFLOAT16),
        ({NCHW: 1.067, NHWC: 0.778, NCHW_BFLOAT16: 3.906, NHWC_BFLOAT16: 0.75}, NHWC),  # not worth its digits
        ({NCHW: 0.5, NHWC: 0.6, NCHW_BFLOAT16: 9.0, NHWC_BFLOAT16: 9.0}, NCHW),
    ],
)
def test_the_fastest_numerics_win_and_bfloat16_must_win_clearly(monkeypatch, seconds, fastest):
    monkeypatch.setattr(optimisation, "_step_seconds", lambda network, numerics, *_: seconds[numerics])
    assert fastest_numerics(nn.Identity(), Recipe(), torch.device("cpu")) == fastest


def test_a_precision_that_is_asked_for_leaves_the_memory_format_to_be_measured(monkeypatch):
    seconds = {
        NCHW: 1.0,
        NHWC: 0.1,
        NCHW_BFLOAT16: 3.0,
        NHWC_BFLOAT16: 2.0,
        NCHW_FLOAT16: 4.0,
        NHWC_FLOAT16: 5.0,
    }
    monkeypatch.setattr(optimisation, "_step_seconds", lambda network, numerics, *_: seconds[numerics])
    for device, precision, chosen in (("cpu", "bfloat16", NHWC_BFLOAT16), ("cuda", "float16", NCHW_FLOAT16)):
        assert fastest_numerics(nn.Identity(), Recipe(), torch.device(device), precision) == chosen


@pytest.mark.parametrize("precision", ["float16", "float8"])
def test_a_precision_that_the_device_has_not_fails(precision):
    with pytest.raises(
        InputError, match=rf"precision '{precision}' is not for cpu; there are: float32, bfloat16$"
    ):
        fastest_numerics(nn.Identity(), Recipe(), torch.device("cpu"), precision)


def test_measuring_leaves_the_network_as_it_was(network):
    before = copy.deepcopy(network.state_dict())
    recipe = Recipe(batch=2, sizes=((64, 1.0),))
    assert isinstance(fastest_numerics(network, recipe, torch.device("cpu")), Numerics)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("numerics", [NCHW, NHWC])
def test_numerics_place_networks_and_batches(numerics):
    layer, images = numerics.place(nn.Conv2d(3, 8, 3)), numerics.place(torch.zeros(2, 3, 8, 8))
    for tensor in (layer.weight, images):
        assert tensor.is_contiguous(memory_format=torch.channels_last) == numerics.channels_last
