"""How large a network is: parameters, and multiply-accumulates of one image."""

from typing import cast

import torch
from torch import nn

from train.networks import NetworkSpec, create_network

__all__ = ["giga_macs", "parameter_count", "scaled_giga_macs", "size_of"]

SMALL_SIDES = (32, 64)  # pixels


def size_of(spec: NetworkSpec, side: int) -> tuple[int, float]:
    """Parameters and GMAC at `side` × `side` of a network that is built for it."""
    network = create_network(spec, pretrained=False)
    return parameter_count(network), scaled_giga_macs(network, side)


def scaled_giga_macs(network: nn.Module, side: int) -> float:
    """`giga_macs`, exactly, from two small images: ten times faster.

    At multiples of 32 every map's area goes with the image's, and what sees the image as a whole is constant.
    """
    small, large = (giga_macs(network, one) for one in SMALL_SIDES)
    first, second = (one**2 for one in SMALL_SIDES)
    return small + (large - small) * (side**2 - first) / (second - first)


def parameter_count(network: nn.Module) -> int:
    """Number of parameters, buffers excluded."""
    return sum(parameter.numel() for parameter in network.parameters())


def giga_macs(network: nn.Module, side: int) -> float:
    """Multiply-accumulates, in 10⁹, of convolutions and linear layers on one image of `side` × `side`.

    Measured by a forward pass in evaluation mode; counts what the literature's tables count.
    """
    macs = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal macs
        # every weight is used once per position: of the input in a transposed convolution, else of the output
        positions = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        channels_axis = -1 if isinstance(layer, nn.Linear) else 1
        macs += cast(torch.Tensor, layer.weight).numel() * positions.numel() // positions.shape[channels_axis]

    layers = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, layers)]
    was_training = network.training
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 3, side, side))
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    return macs / 1e9
