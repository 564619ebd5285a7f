"""Build a TensorRT plan from a bundle: typed graph, gates, plan and sidecar.

python scripts/build_engine.py --net pranet-if
"""

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

from rtpolyp.errors import OutputError
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
from rtpolyp.terminal.command_line import make_app, run_app
from scripts.plans.report import command_elsewhere, report
from scripts.plans.source import Network, Source, check_network, find_source

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


app = make_app("python scripts/build_engine.py", __doc__)


@Parameter(name="*")
@dataclass(frozen=True)
class Plan:
    """How the plan is built, and judged."""

    precision: PlanPrecision = "fp16"
    """fp16, fp32, bf16 or int8."""
    batch: str = "1"
    """Frames of one run: a number, or MIN:OPT:MAX."""
    flavour: Literal["auto", "tensorrt", "tensorrt-rtx"] = "auto"
    """auto takes the one for the card present, and TensorRT for RTX where there is none."""
    target: str = ""
    """Compute capabilities, such as sm86,sm120, for TensorRT for RTX; by default sm80,sm86,sm89,sm120."""
    via: Literal["onnx", "torch-tensorrt"] = "onnx"
    """torch-tensorrt compiles PyTorch's graph without ONNX; needs torch-tensorrt and a card."""
    frames: str | None = None
    """Compare with FP32 on these frames, in place of the phantom's: a folder of images, or DIR[:SPLIT] with
    images/ and masks/, which also gives Dice."""


@app.default
def main(
    *,
    network: Network = Network(),  # noqa: B008 # frozen
    plan: Plan = Plan(),
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("engines"),
) -> None:
    """Build a TensorRT plan from a bundle.

    Parameters
    ----------
    out
        The folder for the plan.
    """
    check_network(network, plan.frames, plan.via)
    card = find_card()
    library = load_flavour(choose_flavour(card) if plan.flavour == "auto" else plan.flavour)
    targets = targets_for(library.name, card, tuple(filter(None, plan.target.lower().split(","))))
    config = BuildConfig(plan.precision, parse_batch(plan.batch), targets)
    check_folder(out)
    here = f"on {card}" if card else "no NVIDIA card is visible"
    cards = ", ".join(f"{target} ({CARDS[target]})" if target in CARDS else target for target in targets)
    console.print(f"{here}: {library.name} {library.version} builds a plan for {cards}")
    source = find_source(network, plan.precision, torch=plan.via != "onnx")
    typed, weights, parity = typed_and_judged(source, plan, trained=not network.untrained)
    start = time.perf_counter()
    built = make(source, typed, library, config, card)
    spec = PlanSpec(
        flavour=library.name,
        tensorrt_version=built.version,
        plan_sha256=sha256(built.content).hexdigest(),
        onnx_sha256=sha256(typed.SerializeToString()).hexdigest() if typed else None,
        source_sha256=source.sha256,
        bundle_digest=source.digest,
        precision=plan.precision,
        capabilities=targets,
        gpu=card.name if card else None,
        driver=card.driver if card else None,
        cuda=card.cuda if card else None,
        platform=this_platform(),
        flags=built.flags,
        inputs=built.inputs,
        outputs=built.outputs,
        preprocessing=PREPROCESSING,
        operations=built.operations,
        weights=weights,
        build_seconds=round(time.perf_counter() - start, 2),
        parity=parity,
        trained=not network.untrained,
        rebuild=command_elsewhere(sys.argv[1:]),
        engine=source.spec,
    )
    path = out / spec.file_name
    write_plan(path, built.content, spec)
    console.print(report(path, spec))


def typed_and_judged(
    source: Source, plan: Plan, *, trained: bool
) -> tuple[Any, dict[str, int], dict[str, Any]]:
    """The typed graph, its weights by precision, and its parity with FP32; nothing for torch-tensorrt."""
    if source.graph is None:
        return None, {}, {}
    # these import onnx, which comes with the extras that bring TensorRT
    from rtpolyp.inference.tensorrt.typed_onnx import check_typed, typed_graph, weights_by_precision
    from rtpolyp.measure.plan_gate import gate, phantom_frames, read_frames

    typed = typed_graph(source.graph, plan.precision)
    check_typed(typed, plan.precision)
    parity = {}
    if trained:
        judged_on = read_frames(plan.frames) if plan.frames else phantom_frames()
        parity = gate(source.spec, source.exact, typed, plan.precision, judged_on)
    return typed, weights_by_precision(typed), parity


def check_folder(folder: Path) -> None:
    """Refuse before the work what would fail after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{folder}: no folder to write to ({exc}); choose another -o") from exc


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


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
