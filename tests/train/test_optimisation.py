"""Optimisers, learning rate, clipping, averaged weights, and the choice of numerics."""

import copy
from functools import partial

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
    clip_gradients,
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


RATE = 0.03


@pytest.mark.parametrize(
    ("optimiser", "reference"),
    [
        ("adamw", partial(torch.optim.AdamW, lr=RATE, betas=(0.9, 0.999), eps=1e-8)),
        ("adam", partial(torch.optim.Adam, lr=RATE, betas=(0.9, 0.999), eps=1e-8)),
        ("nadam", partial(torch.optim.NAdam, lr=RATE, betas=(0.9, 0.999), eps=1e-8, momentum_decay=4e-3)),
        ("sgd", partial(torch.optim.SGD, lr=RATE, momentum=0.8)),
    ],
)
def test_an_optimiser_steps_as_its_published_one(optimiser, reference):
    layer = nn.Linear(3, 2)
    twin = copy.deepcopy(layer)
    recipe = Recipe(optimiser=optimiser, lr_decoder=RATE, schedule="constant", weight_decay=0.1, momentum=0.8)
    ours = create_optimiser(layer, recipe)
    theirs = reference(
        [{"params": twin.weight, "weight_decay": 0.1}, {"params": twin.bias, "weight_decay": 0}]
    )
    generator = torch.Generator().manual_seed(0)
    for step in range(5):
        images = torch.randn(4, 3, generator=generator)
        set_learning_rate(ours, step, recipe)
        for network, optimiser_ in ((layer, ours), (twin, theirs)):
            optimiser_.zero_grad()
            network(images).square().sum().backward()
            optimiser_.step()
    assert torch.equal(layer.weight, twin.weight)
    assert torch.equal(layer.bias, twin.bias)


def test_sgd_without_momentum_is_the_gradient_times_the_rate():
    layer = nn.Linear(3, 2)
    recipe = Recipe(optimiser="sgd", momentum=0, lr_decoder=0.5, schedule="constant", weight_decay=0.1)
    optimiser = create_optimiser(layer, recipe)
    set_learning_rate(optimiser, 0, recipe)
    layer(torch.ones(1, 3)).sum().backward()
    expected = layer.weight - 0.5 * (1 + 0.1 * layer.weight)
    optimiser.step()
    torch.testing.assert_close(layer.weight, expected)


def rates_of(recipe: Recipe, scale: float = 1.0) -> list[float]:
    optimiser = create_optimiser(nn.Linear(1, 1), recipe)
    return [set_learning_rate(optimiser, step, recipe, scale) for step in range(recipe.steps)]


def test_cosine_begins_at_its_peak_and_ends_at_its_floor():
    rates = rates_of(Recipe(steps=1000, schedule="cosine", lr_floor=0.01, lr_decoder=1e-3))
    assert rates[0] == 1e-3
    assert rates[500] == pytest.approx((1e-3 + 1e-5) / 2)
    assert rates[-1] == pytest.approx(1e-5, rel=1e-3)
    assert rates == sorted(rates, reverse=True)


def test_cosine_is_that_of_pytorch():
    recipe = Recipe(steps=50, schedule="cosine", lr_floor=0.01, lr_decoder=1e-3)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=50, eta_min=1e-5)
    theirs = []
    for _ in range(50):
        theirs.append(scheduler.get_last_lr()[0])
        optimiser.step()
        scheduler.step()
    assert rates_of(recipe) == pytest.approx(theirs)


@pytest.mark.parametrize(("scale", "rate"), [(1.0, 1e-4), (0.1, 1e-5), (1e-3, 1e-6)])
def test_a_constant_rate_falls_by_its_plateaus_down_to_the_floor(scale, rate):
    recipe = Recipe(steps=3, schedule="constant", lr_floor=0.01, lr_decoder=1e-4)
    assert rates_of(recipe, scale) == pytest.approx([rate] * 3)


@pytest.fixture
def layer_with_gradients() -> nn.Module:
    layer = nn.Linear(2, 2)
    layer.weight.grad = torch.tensor([[3.0, -0.2], [0.4, 4.0]])
    layer.bias.grad = torch.tensor([0.0, -12.0])
    return layer


NORM = 13.0077  # √(3² + 0.2² + 0.4² + 4² + 12²)


def test_gradients_are_left_alone_without_clipping(layer_with_gradients):
    before = layer_with_gradients.weight.grad.clone()
    norm = clip_gradients(layer_with_gradients.parameters(), Recipe(clip=0))
    assert norm.item() == pytest.approx(NORM, rel=1e-5)
    assert torch.equal(layer_with_gradients.weight.grad, before)


def test_gradients_are_scaled_to_the_largest_norm(layer_with_gradients):
    norm = clip_gradients(layer_with_gradients.parameters(), Recipe(clip=2))
    assert norm.item() == pytest.approx(NORM, rel=1e-5)
    assert layer_with_gradients.bias.grad[1].item() == pytest.approx(-12 * 2 / NORM, rel=1e-5)
    assert layer_with_gradients.weight.grad[0, 1].item() == pytest.approx(-0.2 * 2 / NORM, rel=1e-5)


def test_each_gradient_is_clamped(layer_with_gradients):
    norm = clip_gradients(layer_with_gradients.parameters(), Recipe(clip=0, clip_value=0.5))
    assert norm.item() == pytest.approx(NORM, rel=1e-5)
    assert torch.equal(layer_with_gradients.weight.grad, torch.tensor([[0.5, -0.2], [0.4, 0.5]]))
    assert torch.equal(layer_with_gradients.bias.grad, torch.tensor([0.0, -0.5]))


def test_a_gradient_that_is_no_number_shows_in_the_norm(layer_with_gradients):
    layer_with_gradients.bias.grad[0] = float("nan")
    assert clip_gradients(layer_with_gradients.parameters(), Recipe(clip=0, clip_value=0.5)).isnan()


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


def test_without_decay_the_average_is_the_network_itself():
    network = nn.Linear(3, 3)
    average = WeightAverage(network, decay=0)
    for step in range(1, 4):
        with torch.no_grad():
            network.weight.add_(torch.rand(3, 3, generator=torch.Generator().manual_seed(step)))
        average.update(step)
        assert torch.equal(average.network.weight, network.weight)


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
def test_the_fastest_numerics_win_and_bfloat16_must_win_clearly(monkeypatch, caplog, seconds, fastest):
    monkeypatch.setattr(optimisation, "_step_seconds", lambda network, numerics, *_: seconds[numerics])
    caplog.set_level("INFO", logger="train")
    assert fastest_numerics(nn.Identity(), Recipe(), torch.device("cpu")) == fastest
    assert caplog.messages[-1] == f"channels last, bfloat16: {seconds[NHWC_BFLOAT16]:.3f} s a step at 192 px"


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
