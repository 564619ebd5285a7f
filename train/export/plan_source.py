"""Networks for plans that no bundle's ONNX holds: another size, a checkpoint, random weights."""

import hashlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from rtpolyp.inference.bundle import Bundle
from rtpolyp.spec import EngineSpec, sha256_of
from train.checkpoint import load_checkpoint, load_network
from train.encoders.encoder import encoder_of
from train.export.graph import ByteNetwork
from train.export.operating_point import PLAIN
from train.networks import NetworkSpec, create_network

__all__ = ["PlanSource", "of_bundle", "of_checkpoint", "untrained"]

SEED = 0  # of random weights


class PlanSource(NamedTuple):
    """A network between bytes, and what is known of it."""

    spec: EngineSpec
    network: ByteNetwork
    sha256: str  # of the file that holds the weights; of their names where they are random


def of_bundle(bundle: Bundle, side: int) -> PlanSource:
    """A bundle's weights at another input size; its operating point was chosen at its own."""
    path = bundle.model("weights")
    spec = replace(bundle.spec, height=side, width=side)
    return PlanSource(spec, _between_bytes(load_network(load_checkpoint(path))), sha256_of(path))


def of_checkpoint(path: Path, side: int) -> PlanSource:
    """The averaged weights of a checkpoint, at the plain operating point."""
    trained = load_checkpoint(path)
    spec = EngineSpec(
        trained.spec.name,
        trained.spec.name,
        str(trained.spec.encoder),
        side,
        side,
        **asdict(PLAIN),
        sha256={path.name: sha256_of(path)},
        trained_on=tuple(sorted({file.sha256[:16] for file in trained.seen})),
    )
    return PlanSource(spec, _between_bytes(load_network(trained)), spec.sha256[path.name])


def untrained(name: str, encoder: str | None, side: int) -> PlanSource:
    """Random weights: the network's speed, and nothing else of it. Raises InputError for an unknown name."""
    torch.manual_seed(SEED)
    chosen = NetworkSpec(name, encoder)
    network = create_network(chosen, pretrained=False)
    spec = EngineSpec(name, name, str(chosen.encoder), side, side, **asdict(PLAIN))
    digest = hashlib.sha256(f"{chosen} seed {SEED}".encode()).hexdigest()
    return PlanSource(spec, _between_bytes(network), digest)


def _between_bytes(network: nn.Module) -> ByteNetwork:
    return ByteNetwork(network, encoder_of(network).mean, encoder_of(network).std)
