"""Build a TensorRT plan from a bundle: typed graph, gates, plan and sidecar.

python scripts/build_engine.py --net pranet-if
"""

import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as ProgressBar

from rtpolyp.checks import require_choice
from rtpolyp.cli.bench import NETWORKS
from rtpolyp.errors import BackendError, EngineError, InputError, OutputError
from rtpolyp.inference.bundle import DEFAULT_BUNDLE, Bundle, known_bundles, load_bundle
from rtpolyp.inference.calibration import cache_folder
from rtpolyp.inference.nvidia_card import Card, find_card
from rtpolyp.inference.tensorrt.build import (
    BuildConfig,
    Built,
    Progress,
    build_plan,
    choose_flavour,
    parse_batch,
    targets_for,
    timing_cache_of,
)
from rtpolyp.inference.tensorrt.flavour import Library, load_flavour
from rtpolyp.inference.tensorrt.plan import PlanPrecision, PlanSpec, this_platform, write_plan
from rtpolyp.spec import EngineSpec
from rtpolyp.terminal.command_line import make_app, run_app

SIDE = 352  # pixels, of a network that no bundle gives a size
PREPROCESSING = "frames as uint8 BGR, NHWC, at the network's size; the rest is inside"
CARDS = {
    "sm75": "RTX 20",
    "sm80": "A100, A30",
    "sm86": "RTX 30",
    "sm89": "RTX 40",
    "sm120": "RTX 50",
    "sm121": "GB10",
}

console = Console(highlight=False, soft_wrap=True)


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


app = make_app("python scripts/build_engine.py", __doc__)


@app.default
def main(
    *,
    network: Network = Network(),
    precision: PlanPrecision = "fp16",
    batch: str = "1",
    flavour: Literal["auto", "tensorrt", "tensorrt-rtx"] = "auto",
    target: str = "",
    via: Literal["onnx", "torch-tensorrt"] = "onnx",
    frames: str | None = None,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("engines"),
) -> None:
    """Build a TensorRT plan from a bundle.

    Parameters
    ----------
    precision
        fp16, fp32, bf16 or int8.
    batch
        Frames of one run: a number, or MIN:OPT:MAX.
    flavour
        auto takes the one for the card present, and TensorRT for RTX where there is none.
    target
        Compute capabilities, such as sm86,sm120, for TensorRT for RTX; by default sm80,sm86,sm89,sm120.
    via
        torch-tensorrt compiles PyTorch's graph without ONNX; needs torch-tensorrt and a card.
    frames
        Compare with FP32 on these frames, in place of the phantom's: a folder of images, or DIR[:SPLIT] with
        images/ and masks/, which also gives Dice.
    out
        The folder for the plan.
    """
    check_options(network, frames, via)
    card = find_card()
    library = load_flavour(choose_flavour(card) if flavour == "auto" else flavour)
    # these import onnx, which comes with the extras that bring TensorRT
    from rtpolyp.inference.tensorrt.typed_onnx import check_typed, typed_graph, weights_by_precision
    from rtpolyp.measure.plan_gate import gate, phantom_frames, read_frames

    targets = targets_for(library.name, card, tuple(filter(None, target.lower().split(","))))
    config = BuildConfig(precision, parse_batch(batch), targets)
    check_folder(out)
    here = f"on {card}" if card else "no NVIDIA card is visible"
    cards = ", ".join(f"{target} ({CARDS[target]})" if target in CARDS else target for target in targets)
    console.print(f"{here}: {library.name} {library.version} builds a plan for {cards}")
    source = find_source(network, precision, torch=via != "onnx")
    typed, parity = None, {}
    if source.graph is not None:
        typed = typed_graph(source.graph, precision)
        check_typed(typed, precision)
        if not network.untrained:
            judged_on = read_frames(frames) if frames else phantom_frames()
            parity = gate(source.spec, source.exact, typed, precision, judged_on)
    start = time.perf_counter()
    built = make(source, typed, library, config, card)
    seconds = time.perf_counter() - start
    spec = PlanSpec(
        flavour=library.name,
        tensorrt_version=built.version,
        plan_sha256=sha256(built.content).hexdigest(),
        onnx_sha256=sha256(typed.SerializeToString()).hexdigest() if typed else None,
        source_sha256=source.sha256,
        bundle_digest=source.digest,
        precision=precision,
        capabilities=targets,
        gpu=card and card.name,
        driver=card and card.driver,
        cuda=card and card.cuda,
        platform=this_platform(),
        flags=built.flags,
        inputs=built.inputs,
        outputs=built.outputs,
        preprocessing=PREPROCESSING,
        operations=built.operations,
        weights=weights_by_precision(typed) if typed else {},
        build_seconds=round(seconds, 2),
        parity=parity,
        trained=not network.untrained,
        rebuild=command_elsewhere(sys.argv[1:]),
        engine=source.spec,
    )
    path = out / spec.file_name
    write_plan(path, built.content, spec)
    console.print(report(path, spec))


def check_options(network: Network, frames: str | None, via: str) -> None:
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


def check_folder(folder: Path) -> None:
    """Refuse before the work what would fail after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{folder}: no folder to write to ({exc}); choose another -o") from exc


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
    if name in known and name not in NETWORKS:
        raise InputError(f" {name!r} is a bundle and no network; give it as --bundle", parameter="net")
    require_choice("net", name, NETWORKS)
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


def make(source: Source, typed: Any, library: Library, config: BuildConfig, card: Card | None) -> Built:
    """Compile the typed graph, or without one the network by torch-tensorrt."""
    if typed is None:
        from train.export.torch_tensorrt import build_plan_from_torch

        return build_plan_from_torch(library, source.network, source.spec.size, config, card)
    cache = None
    if library.name == "tensorrt" and card is not None:
        cache = timing_cache_of(cache_folder(), library, card)
    with progress_bar() as progress:
        return build_plan(library, typed.SerializeToString(), config, timing_cache=cache, progress=progress)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar for each phase of the builder; they nest."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with ProgressBar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def show(phase: str, done: int, steps: int) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase, total=steps)
            bar.update(tasks[phase], completed=done, total=steps, visible=done < steps)

        yield show


def command_elsewhere(options: list[str]) -> str:
    """The same command for whatever card and version another machine has."""
    kept: list[str] = []
    words = iter(options)
    for word in words:
        if word.split("=")[0] not in ("--flavour", "--target", "--frames", "--out", "-o"):
            kept.append(word)
        elif "=" not in word:
            next(words, None)
    return shlex.join(["python", "scripts/build_engine.py", *kept])


def report(path: Path, spec: PlanSpec) -> str:
    """What was built, in a few lines."""
    size = path.stat().st_size / 1e6
    lines = [f"{path}: {size:.1f} MB, built in {spec.build_seconds:.1f} s for {spec.built_for}"]
    for precision, kinds in spec.operations.items():
        most_first = sorted(kinds.items(), key=lambda item: -item[1])
        lines.append(f"{precision} operations: {', '.join(f'{count} {kind}' for kind, count in most_first)}")
    weights = ", ".join(f"{count:,} {precision}" for precision, count in spec.weights.items())
    lines.append(f"weights: {weights or 'as torch-tensorrt took them'}")
    parity = spec.parity
    if not spec.trained:
        lines.append("random weights: for latency alone, rtpolyp run refuses this plan")
    elif not parity:
        lines.append("not compared with FP32: that needs a run on the card")
    else:
        lines.append(
            f"typed graph against FP32 on {parity['frames']} frames ({parity['on']}): mask Dice "
            f"{parity['dice']:.4f} (at least {parity['least']}), probability within {parity['levels']}/255"
        )
    if "typed_dice" in parity:
        lines.append(f"Dice against the truth: {parity['typed_dice']:.4f}, FP32 {parity['exact_dice']:.4f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
