"""What becomes a plan: a bundle's own graph, or one that torch makes anew."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from rtpolyp.checks import require_choice
from rtpolyp.errors import BackendError, EngineError, InputError
from rtpolyp.inference.bundle import DEFAULT_BUNDLE, Bundle, known_bundles, load_bundle
from rtpolyp.inference.tensorrt.plan import PlanPrecision
from rtpolyp.measure.benchmark.networks import PAPER_NETWORKS
from rtpolyp.spec import EngineSpec

__all__ = ["Network", "Source", "check_network", "find_source"]

SIDE = 352  # pixels, of a network that no bundle gives a size


@Parameter(name="*")
@dataclass(frozen=True)
class Network:
    """What to build."""

    net: str | None = None
    """A network of the paper, see python -m train --list: its bundle, or with --untrained random weights."""
    encoder: str | None = None
    """With --untrained, another encoder than the network's default."""
    bundle: str | None = None
    """A bundle's name or folder, in place of --net; pranet-if by default."""
    weights: Path | None = None
    """best.pt of a run, in place of a bundle; needs torch."""
    untrained: Annotated[bool, Parameter(negative="")] = False
    """Random weights, for latency alone: rtpolyp run refuses such a plan. Needs torch."""
    size: int | None = None
    """Side of the input in pixels; by default the bundle's, or 352. Another than the bundle's needs torch."""


@dataclass(frozen=True)
class Source:
    """A network, found."""

    spec: EngineSpec
    digest: str  # Bundle.digest
    sha256: str  # of the file that it comes from
    exact: Any  # Graph of typed_onnx, in FP32: what the plan is judged by
    graph: Any  # what becomes the plan; another than `exact` for INT8
    network: Any = None  # train.export.graph.ByteNetwork, where torch was needed


def check_network(network: Network, frames: str | None, via: str) -> None:
    """Refuse options of which one would be ignored for the other."""
    contradictions = (
        ("net", network.net and network.bundle, "and --bundle both name what to build; give one"),
        (
            "encoder",
            network.encoder and network.weights,
            "is the run's own, with --weights; leave it out",
        ),
        (
            "frames",
            frames and network.untrained,
            "random weights are compared with nothing; leave it out",
        ),
        (
            "frames",
            frames and via != "onnx",
            "torch-tensorrt's plans are not compared here; leave it out",
        ),
    )
    for name, both, reason in contradictions:
        if both:
            raise InputError(f": {reason}", parameter=name)


def find_source(network: Network, precision: PlanPrecision, *, torch: bool) -> Source:
    """A bundle's own graph, or one that torch makes anew; with `torch` none, for torch-tensorrt."""
    if [network.untrained, network.bundle is not None, network.weights is not None].count(True) > 1:
        raise InputError("--untrained, --bundle and --weights exclude each other; give one")
    if network.untrained or network.weights is not None:
        return _with_torch(network, None, precision, torch)
    bundle = _find_bundle(network)
    spec = bundle.spec
    if network.encoder not in (None, spec.encoder):
        raise InputError(
            f"{bundle.folder}: its encoder is {spec.encoder}; leave --encoder out, or build with --untrained"
        )
    if torch or network.size not in (None, spec.width):
        return _with_torch(network, bundle, precision, torch)
    from rtpolyp.inference.tensorrt.typed_onnx import load_graph

    role = "int8" if precision == "int8" else "fp32"
    exact, graph = (load_graph(bundle.model(name)) for name in ("fp32", role))
    return Source(spec, bundle.digest, spec.sha256[spec.files[role]], exact, graph)


def _find_bundle(network: Network) -> Bundle:
    if network.net is None:
        return load_bundle(network.bundle or DEFAULT_BUNDLE)
    name, known = network.net, known_bundles()
    if name in known and name not in PAPER_NETWORKS:
        raise InputError(f" {name!r} is a bundle and no network; give it as --bundle", parameter="net")
    require_choice("net", name, PAPER_NETWORKS)
    if name not in known:
        raise EngineError(
            f"{name}: no trained bundle of that network; train it (python -m train --net {name}, then python "
            f"-m train.export … -o engines/{name}), or add --untrained to build it for latency alone"
        )
    return load_bundle(name)


def _with_torch(network: Network, bundle: Bundle | None, precision: PlanPrecision, torch: bool) -> Source:
    if precision == "int8":
        raise InputError("int8: only a bundle's own graph is quantised, at its own size; take fp16")
    try:
        from train.export import plan_source
        from train.export.graph import to_onnx
    except ImportError as exc:
        raise BackendError(
            f"this needs PyTorch and a checkout ({exc}); pip install -c constraints.txt -e '.[train]'"
        ) from exc
    if bundle is not None:
        made = plan_source.of_bundle(bundle, network.size or bundle.spec.width)
    elif network.weights is not None:
        made = plan_source.of_checkpoint(network.weights, network.size or SIDE)
    else:
        made = plan_source.untrained(network.net or DEFAULT_BUNDLE, network.encoder, network.size or SIDE)
    if network.net not in (None, made.spec.name):
        raise InputError(f"{network.weights}: holds {made.spec.name}, not {network.net}; leave --net out")
    graph = None if torch else to_onnx(made.network, made.spec.size)
    digest = made.sha256[:16] if bundle is None else bundle.digest
    return Source(made.spec, digest, made.sha256, graph, graph, made.network)
