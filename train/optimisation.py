"""Optimiser, learning rate, averaged weights, and which arithmetic is fastest on this machine."""

import copy
import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import nn

from rtpolyp.errors import InputError
from train.losses import LOSSES, total
from train.progress import OnDone, counted
from train.recipe import Recipe

__all__ = [
    "PRECISIONS",
    "Numerics",
    "WeightAverage",
    "clip_gradients",
    "create_optimiser",
    "fastest_numerics",
    "set_learning_rate",
]

log = logging.getLogger(__name__)

Placed = TypeVar("Placed", torch.Tensor, nn.Module)

TIMED_STEPS = 3
PRECISIONS = {  # how many times faster than float32 each must be, or what it loses buys nothing
    "float32": 1.0,
    "bfloat16": 1.1,  # digits
    "float16": 1.2,  # range too: gradients have to be scaled, and overflow now and then
}


def create_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's, with four groups: encoder and decoder, each with and without weight decay.

    Each group's "peak" is its learning rate at a schedule of 1.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        groups.setdefault((name.startswith("encoder."), parameter.ndim > 1), []).append(parameter)
    # fused: the others wait for the device in each step, to learn whether a scaled gradient has overflown
    fused = next(network.parameters()).is_cuda
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adamw": partial(torch.optim.AdamW, fused=fused),
        "adam": partial(torch.optim.Adam, fused=fused),
        "nadam": torch.optim.NAdam,
        "sgd": partial(torch.optim.SGD, momentum=recipe.momentum, fused=fused),
    }
    return kinds[recipe.optimiser](
        {
            "params": parameters,
            "peak": recipe.lr_encoder if is_encoder else recipe.lr_decoder,
            "weight_decay": recipe.weight_decay if decays else 0.0,
        }
        for (is_encoder, decays), parameters in groups.items()
    )


def set_learning_rate(
    optimiser: torch.optim.Optimizer, step: int, recipe: Recipe, scale: float = 1.0
) -> float:
    """Set every group's rate for `step` (0-based) and return the decoder's; `scale` is what plateaus left.

    A function of its arguments alone, so that resuming needs no scheduler.
    """
    factor = max(recipe.lr_floor, scale * _schedule(step, recipe))
    for group in optimiser.param_groups:
        group["lr"] = factor * group["peak"]
    return factor * recipe.lr_decoder


def _schedule(step: int, recipe: Recipe) -> float:
    """Learning rate of `step` as a share of the peak.

    One cycle (Smith, arXiv:1708.07120) is a linear rise before the cosine (SGDR, arXiv:1608.03983).
    """
    if recipe.schedule == "constant":
        return 1.0
    rising = max(1, round(recipe.warmup * recipe.steps)) if recipe.schedule == "one-cycle" else 0
    if step < rising:
        return 0.04 + 0.96 * step / rising
    falling = (step - rising) / max(1, recipe.steps - rising)
    return recipe.lr_floor + (1 - recipe.lr_floor) * (1 + math.cos(math.pi * falling)) / 2


def clip_gradients(parameters: Iterable[nn.Parameter], recipe: Recipe) -> torch.Tensor:
    """Limit gradients in place by `recipe.clip` and `recipe.clip_value`; returns their norm before that."""
    parameters = list(parameters)
    norm = torch.nn.utils.clip_grad_norm_(parameters, recipe.clip or math.inf)
    if recipe.clip_value:
        torch.nn.utils.clip_grad_value_(parameters, recipe.clip_value)
    return norm


class WeightAverage:
    """An exponential moving average of a network's parameters and buffers, held as a network."""

    def __init__(self, network: nn.Module, decay: float):
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.pairs = [
            (averaged, current)
            for averaged, current in zip(
                self.network.state_dict().values(), network.state_dict().values(), strict=True
            )
            if averaged.is_floating_point()
        ]

    def update(self, step: int) -> None:
        """Take in the network's weights after `step`; the decay grows to its value over the first steps."""
        averaged, current = zip(*self.pairs, strict=True)
        torch._foreach_lerp_(averaged, current, 1 - min(self.decay, (1 + step) / (10 + step)))


@dataclass(frozen=True)
class Numerics:
    """How tensors lie in memory and what they are multiplied in."""

    channels_last: bool
    bfloat16: bool  # by autocast; weights, loss and optimiser stay float32
    float16: bool = False  # in its place; gradients are scaled

    @property
    def precision(self) -> str:
        """Key of PRECISIONS."""
        return "float16" if self.float16 else "bfloat16" if self.bfloat16 else "float32"

    def __str__(self) -> str:
        """As a person reads it, such as "channels last, bfloat16"."""
        return f"{'channels last' if self.channels_last else 'NCHW'}, {self.precision}"

    def place(self, x: Placed) -> Placed:
        """A batch (N, C, H, W) or network in this memory format."""
        memory_format = torch.channels_last if self.channels_last else torch.contiguous_format
        return x.to(memory_format=memory_format)

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context to run the network in."""
        dtype = torch.float16 if self.float16 else torch.bfloat16
        return torch.autocast(device.type, dtype, enabled=self.precision != "float32")


def fastest_numerics(
    network: nn.Module, recipe: Recipe, device: torch.device, precision: str | None = None
) -> Numerics:
    """Time a few training steps of each variant on random images and take the fastest.

    Measured, not looked up: on processors without AVX-512 or AMX, bfloat16 was ten times slower than float32.
    `precision`, a key of PRECISIONS, leaves the memory format alone to be chosen. Raises InputError for one
    that the device has not.
    """
    known = [name for name in PRECISIONS if name != "float16" or device.type == "cuda"]
    if precision not in (None, *known):
        raise InputError(
            f" {precision!r} is not for {device.type}; there are: {', '.join(known)}", parameter="precision"
        )
    variants = [
        Numerics(channels_last, one == "bfloat16", one == "float16")
        for one in ([precision] if precision else known)
        for channels_last in (False, True)
    ]
    seconds = {}
    with counted("measuring numerics", len(variants) * (1 + TIMED_STEPS)) as one_more:
        for variant in variants:
            seconds[variant] = _step_seconds(network, variant, recipe, device, one_more)
    for variant, value in seconds.items():
        log.info("%s: %.3f s a step at %d px", variant, value, recipe.size_at(0))
    price = {variant: value * PRECISIONS[variant.precision] for variant, value in seconds.items()}
    return min(price, key=price.__getitem__)


def _step_seconds(
    network: nn.Module, numerics: Numerics, recipe: Recipe, device: torch.device, on_step: OnDone
) -> float:
    trial = numerics.place(copy.deepcopy(network)).train()
    side = recipe.size_at(0)
    images = numerics.place(torch.randn(recipe.batch, 3, side, side, device=device))
    target = torch.zeros(recipe.batch, 1, side, side, device=device)
    best = math.inf
    for step in range(1 + TIMED_STEPS):  # the first warms caches and kernels up
        start = time.perf_counter()
        with numerics.autocast(device):
            heads = trial(images)
        loss = total(LOSSES[recipe.loss](head.float(), target) for head in heads)
        loss.backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if step:
            best = min(best, time.perf_counter() - start)
        on_step()
    return best
