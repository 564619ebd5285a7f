"""The networks by name: normalised RGB in, polyp logits out.

A network takes `images: (N, 3, H, W) float32` and returns logits at input size: in training a tuple of heads,
the final one first; in evaluation the final `(N, 1, H, W)` alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from rtpolyp.errors import InputError
from train.encoders import create_encoder
from train.networks.pranet import PraNet, PraNetIF

__all__ = ["NETWORKS", "NetworkSpec", "create_network"]

# With a light encoder the fusion also reads stride 4, where these are cheap and a trial gained from it; the
# heavy encoders keep the paper's three stages.
LIGHT_ENCODERS = ("efficientnet-lite0", "mobilenetv2")


@dataclass(frozen=True)
class NetworkSpec:
    """Which network: all that is needed to build it again around stored weights."""

    name: str  # key of NETWORKS
    encoder: str = "efficientnet-lite0"  # key of ENCODERS
    stride4: bool | None = None  # fuse stride 4 too; None: where the encoder is light


def _pranet(spec: NetworkSpec, encoder: nn.Module) -> nn.Module:
    if spec.stride4:
        raise InputError("pranet has no fusion that could take stride 4. Use pranet-if")
    return PraNet(encoder)


def _pranet_if(spec: NetworkSpec, encoder: nn.Module) -> nn.Module:
    return PraNetIF(encoder, spec.encoder in LIGHT_ENCODERS if spec.stride4 is None else spec.stride4)


NETWORKS: dict[str, Callable[[NetworkSpec, nn.Module], nn.Module]] = {
    "pranet": _pranet,
    "pranet-if": _pranet_if,
}


def create_network(spec: NetworkSpec | str, pretrained: bool | Path = True) -> nn.Module:
    """Build a network from its spec, or from its name with the default encoder.

    `pretrained` is True (ImageNet weights of the encoder where its package installs them), a path to them, or
    False (random). Raises InputError for an unknown name and for weights that are missing or do not fit.
    """
    if isinstance(spec, str):
        spec = NetworkSpec(spec)
    if spec.name not in NETWORKS:
        raise InputError(f"network {spec.name!r} is unknown; there are: {', '.join(NETWORKS)}")
    return NETWORKS[spec.name](spec, create_encoder(spec.encoder, pretrained))
