"""Two trained networks as one ensemble."""

from dataclasses import replace

from rtpolyp.errors import InputError
from train.checkpoint import Checkpoint
from train.networks import JOINED

__all__ = ["joined"]


def joined(members: dict[str, Checkpoint]) -> Checkpoint:
    """The ensemble of two checkpoints, by their paths; what belongs to a run is the first's.

    Raises InputError for networks of two kinds, for ensembles, and for normalisations that differ.
    """
    (_, first), (text, second) = members.items()
    one, other = first.spec, second.spec
    alike = replace(other, encoder=one.encoder) == one
    if not alike or (first.mean, first.std) != (second.mean, second.std):
        raise InputError(
            f"{text}: {other.name} on {other.encoder} is no member of an ensemble with {one.name} on "
            f"{one.encoder}. Give another pranet-if, on an encoder of the same family"
        )
    weights = {f"first.{name}": weight for name, weight in first.ema.items()}
    weights |= {f"others.0.{name}": weight for name, weight in second.ema.items()}
    return replace(
        first,
        spec=replace(one, encoder=f"{one.encoder}{JOINED}{other.encoder}"),
        ema=weights,
        earlier=tuple(dict.fromkeys((*first.earlier, *second.seen))),
        lessons=tuple(dict.fromkeys((*first.lessons, *second.lessons))),
        joined=tuple(members),
        model=None,
        optimiser=None,
        scaler=None,
    )
