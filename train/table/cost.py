"""What an arm costs: parameters, multiply-accumulates before and after exact folding, frames a second."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from train.complexity import parameter_count, scaled_giga_macs
from train.networks import NetworkSpec, create_network
from train.table.design import ABLATED, ENCODER, RECIPE
from train.table.paper import ROWS
from train.table.plan import ablations_of, arms_of

__all__ = ["Cost", "cost_of", "designed_specs"]


@dataclass(frozen=True)
class Cost:
    """What one image costs at the design's size."""

    parameters: int  # while training
    giga_macs: float  # nothing folded
    folded_giga_macs: float  # as exported


def designed_specs() -> Iterator[tuple[str, str, NetworkSpec]]:
    """Row, arm and network of all arms: ten, and the ablations."""
    for row in ROWS:
        arms = arms_of(row, ENCODER) | (ablations_of(row, ENCODER) if row in ABLATED else {})
        for arm, spec in arms.items():
            yield row, arm, spec


@cache
def cost_of(spec: NetworkSpec) -> Cost:
    """Counted on the network that is trained, and on what is exported of it."""
    side = RECIPE.final_size
    network = create_network(spec, pretrained=False).eval()
    parameters, macs = parameter_count(network), scaled_giga_macs(network, side)
    fold: Callable[[], None] | None = getattr(network, "fold", None)
    if fold:
        fold()
    return Cost(parameters, macs, scaled_giga_macs(network, side))
