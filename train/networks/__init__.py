"""The networks by name: normalised RGB in, polyp logits out.

A network takes `images: (N, 3, H, W) float32` and returns logits at input size: in training a tuple of heads,
the final one first; in evaluation the final `(N, 1, H, W)` alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from torch import nn

from rtpolyp.checks import known_names
from rtpolyp.errors import InputError
from train.encoders import create_encoder
from train.encoders.efficientnet_lite import VARIANTS
from train.encoders.encoder import Encoder
from train.encoders.published import IMAGENET, PUBLISHED, fetch
from train.networks.ensemble import Ensemble
from train.networks.fcn import FCNIF, FCN8s, FCNSum
from train.networks.own_encoder import OWN
from train.networks.pranet import PraNet, PraNetCoarse, PraNetIF
from train.networks.resunetpp import ResUNetPlusPlus, ResUNetPlusPlusIF
from train.networks.second_look import LooksTwice
from train.networks.unet import UNet, UNetIF
from train.networks.unetpp import UNetPlusPlus, UNetPlusPlusIF

__all__ = [
    "ABLATIONS",
    "FCN_HEADS",
    "JOINED",
    "LIGHT_ENCODERS",
    "NETWORKS",
    "OWN_ENCODED",
    "NetworkSpec",
    "create_network",
]

# With a light encoder the fusion also reads stride 4, where these are cheap and a trial gained from it; the
# heavy encoders keep the paper's three stages.
LIGHT_ENCODERS = (*VARIANTS, "mobilenetv2")

# Networks that are an encoder and a decoder in one; a light encoder can take the place of theirs.
OWN_ENCODED: dict[str, Callable[..., nn.Module]] = {
    "unet": UNet,
    "unet-if": UNetIF,
    "unetpp": UNetPlusPlus,
    "unetpp-if": UNetPlusPlusIF,
    "resunetpp": ResUNetPlusPlus,
    "resunetpp-if": ResUNetPlusPlusIF,
}

JOINED = "+"  # between the encoders of an ensemble, each of a network of its own

# What a spec without an encoder gets. PraNet's own is res2net50, whose weights no package installs.
LIGHT_DEFAULT = "efficientnet-lite0"
DEFAULT_ENCODERS = {"fcn": "vgg16", "fcn-if": "vgg16", **dict.fromkeys(OWN_ENCODED, OWN)}


@dataclass(frozen=True)
class NetworkSpec:
    """All that is needed to build it again around stored weights."""

    name: str  # key of NETWORKS
    encoder: str | None = None  # key of ENCODERS, several JOINED, or OWN; None becomes the network's default
    stride4: bool | None = None  # fuse stride 4 too; None: where the encoder is light
    head: str | None = None  # fcn only: key of FCN_HEADS; None: "fc" on VGG16, "conv" elsewhere
    ablation: str | None = None  # key of ABLATIONS; None: the network as it is

    def __post_init__(self) -> None:
        if self.encoder is None:
            object.__setattr__(self, "encoder", DEFAULT_ENCODERS.get(self.name, LIGHT_DEFAULT))


def _pranet(spec: NetworkSpec, encoder: Encoder) -> nn.Module:
    if spec.stride4:
        raise InputError("pranet has no fusion that could take stride 4. Use pranet-if")
    return PraNetCoarse(encoder) if spec.ablation else PraNet(encoder)


def _pranet_if(spec: NetworkSpec, encoder: Encoder) -> nn.Module:
    stride4 = spec.encoder in LIGHT_ENCODERS if spec.stride4 is None else spec.stride4
    return PraNetIF(encoder, stride4, spec.ablation or "full")


def _own_encoded(spec: NetworkSpec, encoder: Encoder | None) -> nn.Module:
    if spec.stride4:
        raise InputError(f"{spec.name} has its stages fixed. Leave stride4 to pranet-if")
    if not spec.ablation:
        return OWN_ENCODED[spec.name](encoder)
    if encoder is None:
        raise InputError(f"ablation: {spec.name} has it on a light encoder. Add --encoder {LIGHT_DEFAULT}")
    return UNet(encoder, wide=True) if spec.ablation == "wide" else UNetIF(encoder, spec.ablation)


def _fcn(spec: NetworkSpec, encoder: Encoder) -> nn.Module:
    head = spec.head or ("fc" if spec.encoder == "vgg16" else "conv")
    if head not in FCN_HEADS:
        raise InputError(f"head {head!r} is unknown; {known_names(head, FCN_HEADS)}")
    if head == "fc" and spec.encoder != "vgg16":
        raise InputError(f"head 'fc' is VGG16's fc6 and fc7; {spec.encoder} has none. Use --head conv")
    return FCN_HEADS[head](encoder)


def _fcn_if(spec: NetworkSpec, encoder: Encoder) -> nn.Module:
    return FCNIF(encoder)


# "conv" is the twin of fcn-if: the same four stages with 1×1 scores and a sum, without fc6 and fc7
FCN_HEADS: dict[str, Callable[[Encoder], nn.Module]] = {"fc": FCN8s, "conv": FCNSum}

# What is left of the fusion without one of its parts, and a decoder without it that has as many parameters.
ABLATIONS = {
    "sum": ("unet-if", "pranet-if"),  # refined, then a plain sum
    "weights": ("unet-if", "pranet-if"),  # weighted by stage, not refined
    "wide": ("unet", "pranet"),
}

NETWORKS: dict[str, Callable[[NetworkSpec, Any], nn.Module]] = {
    "pranet": _pranet,
    "pranet-if": _pranet_if,
    "fcn": _fcn,
    "fcn-if": _fcn_if,
    **dict.fromkeys(OWN_ENCODED, _own_encoded),
}


def create_network(
    spec: NetworkSpec | str, pretrained: bool | Path | Literal["imagenet"] = True
) -> nn.Module:
    """Build a network from its spec, or from its name with the default encoder.

    `pretrained` is True (ImageNet weights of the encoder where its package installs them), "imagenet" (the
    same, and fetched from the network where no package does), a path to them, or False (random). An encoder
    that is part of its network starts from random weights always. Raises InputError for an unknown name and
    for weights that are missing, do not fit or cannot be fetched.
    """
    if isinstance(spec, str):
        spec = NetworkSpec(spec)
    _check_options(spec)
    if JOINED in (spec.encoder or ""):
        encoders = str(spec.encoder).split(JOINED)
        return Ensemble(
            [cast(LooksTwice, create_network(replace(spec, encoder=one), pretrained)) for one in encoders]
        )
    if spec.encoder == OWN and spec.name in OWN_ENCODED:
        if not isinstance(pretrained, bool):
            raise InputError(
                f"{pretrained}: {spec.name} with its own encoder takes no backbone weights. Leave them out"
            )
        return NETWORKS[spec.name](spec, None)
    name = cast(str, spec.encoder)
    if pretrained == IMAGENET:
        weights: bool | Path = fetch(name) if name in PUBLISHED else True
    else:
        weights = cast("bool | Path", pretrained)
    encoder = create_encoder(name, weights, stride2=spec.name in OWN_ENCODED)
    network = NETWORKS[spec.name](spec, encoder)
    if isinstance(network, FCN8s) and not isinstance(weights, bool):
        network.load_classifier(weights)
    return network


def _check_options(spec: NetworkSpec) -> None:
    if spec.name not in NETWORKS:
        raise InputError(f"network {spec.name!r} is unknown; {known_names(spec.name, NETWORKS)}")
    if JOINED in (spec.encoder or "") and spec.name != "pranet-if":
        raise InputError(f"encoder {spec.encoder!r}: {spec.name} is no member of an ensemble. Use pranet-if")
    if spec.head is not None and spec.name != "fcn":
        raise InputError(f"{spec.name} has no choice of heads. Leave --head out, or use fcn")
    if spec.stride4 is not None and spec.name in ("fcn", "fcn-if"):
        raise InputError(f"{spec.name} always reads stride 4. Leave --stride4 and --no-stride4 out")
    if spec.ablation is not None and spec.name not in ABLATIONS.get(spec.ablation, ()):
        listed = "; ".join(f"{name} of {', '.join(nets)}" for name, nets in ABLATIONS.items())
        raise InputError(f"ablation {spec.ablation!r} is none of {spec.name}; there are: {listed}")
