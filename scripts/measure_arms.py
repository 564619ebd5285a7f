"""Measure frames a second of every exported arm of the paper's table, on this machine, in one run.

python scripts/measure_arms.py          # minutes, on a quiet machine: docs/results/paper/engines.json
python scripts/measure_arms.py --plans  # builds a TensorRT for RTX plan of each, too; no card is needed

Weights are random: a rate and a plan's size do not depend on them. INT8 is quantised as a bundle's is, with
no layer given back to floating point. `python -m train.table report` shows the result.
"""

import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import onnx
from cyclopts import Parameter
from numpy.typing import NDArray

from rtpolyp.inference import open_engine
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.openvino import OpenVinoEngine
from rtpolyp.inference.tensorrt.build import BuildConfig, build_plan, parse_batch, targets_for
from rtpolyp.inference.tensorrt.flavour import load_flavour
from rtpolyp.inference.tensorrt.typed_onnx import check_typed, typed_graph
from rtpolyp.measure.benchmark.engine import measure_engine
from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.measure.benchmark.samples import THROUGHPUT, Schedule
from rtpolyp.spec import EngineSpec, sha256_of, write_spec
from rtpolyp.terminal.command_line import make_app, run_app
from rtpolyp.terminal.console import make_console, say_written
from train.encoders.encoder import encoder_of
from train.experiment.files import write_compact_json
from train.export.graph import ByteNetwork, to_onnx
from train.export.int8 import quantise
from train.export.operating_point import PLAIN
from train.networks import NetworkSpec, create_network
from train.table.cost import designed_specs
from train.table.design import RECIPE, RESULTS

FILES = {"fp32": "model.onnx", "int8": "model.int8.onnx"}
FRAMES = 32  # of noise, that INT8 is calibrated on and engines are timed on
RTX: Final = "tensorrt-rtx"
PLAN_PRECISION: Final = "fp16"

app = make_app("python scripts/measure_arms.py", __doc__)


@dataclass(frozen=True)
class Arm:
    """One exported network."""

    name: str  # row and arm, as the table has them
    bundle: Bundle
    precisions: tuple[str, ...]  # of this processor


@app.default
def main(
    *,
    plans: Annotated[bool, Parameter(negative="")] = False,
    only: Annotated[tuple[str, ...], Parameter(consume_multiple=False, negative="")] = (),
    rounds: int = 5,
    seconds: float = 2.0,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = RESULTS / "engines.json",
) -> None:
    """Export all arms, and time each in each precision in turn.

    Parameters
    ----------
    plans
        Build plans by TensorRT for RTX, and write down their size and how long that took.
    only
        Row and arm, such as "fcn IF", repeatable: all by default.
    rounds
        How often all are timed, in turn.
    seconds
        Of each timing.
    output
        The result.
    """
    console = make_console()
    frames = np.random.default_rng(0).integers(0, 256, (FRAMES, *_size(), 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder, console.status("") as status:
        arms = []
        for row, kind, spec in designed_specs():
            if not only or f"{row} {kind}" in only:
                status.update(f"exporting {row} {kind}")
                bundle = _export(f"{row} {kind}", spec, frames, Path(folder))
                arms.append(Arm(f"{row} {kind}", bundle, OpenVinoEngine.precisions(bundle)))
        rates: dict[str, dict[str, list[float]]] = {arm.name: {p: [] for p in arm.precisions} for arm in arms}
        for turn in range(rounds):
            for arm in arms:
                for precision in arm.precisions:
                    status.update(f"round {turn + 1} of {rounds}: {arm.name} in {precision}")
                    rates[arm.name][precision].append(_rate(arm.bundle, precision, frames, seconds))
        built = {}
        for arm in arms if plans else ():
            status.update(f"building the plan of {arm.name}")
            built[arm.name] = _plan(arm.bundle)
    machine = this_machine()
    content = {
        "command": " ".join(["python scripts/measure_arms.py", *sys.argv[1:]]),
        "machine": asdict(machine),
        "source": f"OpenVINO on {machine.cores} cores of {machine.processor}, all requests in flight, "
        f"{_size()[0]} × {_size()[1]} pixels, median of {rounds} rounds",
        "arms": {name: _summary(by_precision, built.get(name, {})) for name, by_precision in rates.items()},
    }
    write_compact_json(content, output)
    say_written([output], console)


def _size() -> tuple[int, int]:
    side = RECIPE.final_size
    return side, side


def _export(name: str, network_spec: NetworkSpec, frames: NDArray[np.uint8], folder: Path) -> Bundle:
    """A bundle of both precisions in a folder of its own."""
    home = folder / name.replace(" ", "-")
    home.mkdir()
    network: Any = create_network(network_spec, pretrained=False)
    exact = to_onnx(ByteNetwork(network, encoder_of(network).mean, encoder_of(network).std), _size())
    onnx.save(exact, home / FILES["fp32"])
    scored = np.arange(2)
    onnx.save(
        quantise(exact, frames, scored, lambda model, indices: np.ones(len(indices))), home / FILES["int8"]
    )
    digests = {file: sha256_of(home / file) for file in FILES.values()}
    spec = EngineSpec(
        name, name, str(network_spec.encoder), *_size(), **asdict(PLAIN), files=FILES, sha256=digests
    )
    write_spec(spec, home / "spec.json")
    return Bundle(home, spec)


def _rate(bundle: Bundle, precision: str, frames: NDArray[np.uint8], seconds: float) -> float:
    """Frames a second with all requests in flight."""
    with open_engine(
        bundle.folder, backend="openvino", precision=precision, optimise_for="throughput"
    ) as engine:
        inputs = [frame[np.newaxis] for frame in frames]
        timed = measure_engine(engine, inputs, Schedule(seconds=seconds), in_flight=engine.capacity)
        return timed.figures[THROUGHPUT].median


def _plan(bundle: Bundle) -> dict[str, Any]:
    library = load_flavour(RTX)
    typed = typed_graph(onnx.load(bundle.model("fp32")), PLAN_PRECISION)
    check_typed(typed, PLAN_PRECISION)
    config = BuildConfig(PLAN_PRECISION, parse_batch("1"), targets_for(RTX, None, ()))
    start = time.perf_counter()
    plan = build_plan(library, typed.SerializeToString(), config)
    took = round(time.perf_counter() - start, 1)
    return {"plan_bytes": len(plan.content), "plan_seconds": took, "plan_precision": PLAN_PRECISION}


def _summary(rates: dict[str, list[float]], plan: dict[str, Any]) -> dict[str, Any]:
    """The summary of one arm: what the report shows, and all that was measured."""
    medians = {precision: statistics.median(values) for precision, values in rates.items()}
    best = max(medians, key=medians.__getitem__)
    every = {precision: [round(one, 1) for one in values] for precision, values in rates.items()}
    return {
        "float32": round(medians["fp32"], 1),
        "best": round(medians[best], 1),
        "best_precision": best,
        "rounds": every,
        **plan,
    }


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
