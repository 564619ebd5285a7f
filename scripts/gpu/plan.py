"""Check and measure a plan on the card: parity with ONNX Runtime, latency, and its slots against a bare loop.

python -m scripts.gpu.plan --engine engines/pranet-if.sm90.fp16.288x288.b1.engine --net pranet-if

--engine may also be a folder with that one plan in it.
"""

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from rtpolyp.errors import BackendError, EngineError
from rtpolyp.inference.bundle import load_bundle
from rtpolyp.inference.calibration import cache_folder
from rtpolyp.inference.engine import Engine
from rtpolyp.inference.nvidia_card import find_card
from rtpolyp.inference.onnxruntime import OnnxRuntimeEngine
from rtpolyp.inference.tensorrt.engine import TensorRtEngine, open_network
from rtpolyp.inference.tensorrt.flavour import installed_flavours
from rtpolyp.inference.tensorrt.plan import SUFFIX, Plan, read_plan
from rtpolyp.measure.parity import check_parity, compare_masks, probabilities
from rtpolyp.measure.plan_gate import phantom_frames
from scripts.gpu.cases import Case
from scripts.gpu.figures import measured
from scripts.gpu.step import step_app, step_main

LEAST_DICE = 0.995  # masks of the plan against those of the FP32 graph in ONNX Runtime
ROUNDS = 3  # of slots and bare loop in turns, so that a change of the clock meets both
BLOCK = 100  # runs between two looks at the clock


app = step_app(__doc__)


@app.default
def main(*, case: Case, engine: Path, seconds: float = 3.0) -> dict[str, Any]:
    """Open, compare, measure."""
    plan = read_plan(the_plan(engine), untrained=True)
    start = time.perf_counter()
    with TensorRtEngine(plan) as opened:
        result: dict[str, Any] = {"open_seconds": time.perf_counter() - start}
        if case.trained:
            result["parity"] = parity(opened, case.net)
        result |= measured(opened, seconds)
        rates = []
        for _ in range(ROUNDS):
            flight = measured(opened, seconds / ROUNDS, in_flight=opened.capacity)
            rates.append((flight["figures"]["throughput"]["median"], bare_loop(plan, seconds / ROUNDS)))
    slots, bare = (float(np.median(column)) for column in zip(*rates, strict=True))
    ratio = float(np.median([slot / loop for slot, loop in rates]))
    built = {"built_for": plan.spec.built_for, "build_seconds": plan.spec.build_seconds}
    size = {"megabytes": len(plan.content) / 1e6}
    return result | built | size | {"slots": slots, "bare_loop": bare, "slots_to_bare_loop": ratio}


def the_plan(path: Path) -> Path:
    """The file itself, or the only plan of a folder."""
    files = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
    if len(files) != 1:
        raise EngineError(f"{path}: {len(files)} plans in it; name one")
    return files[0]


def parity(engine: Engine, bundle: str) -> dict[str, Any]:
    """Masks of the plan against those of the bundle's FP32 graph. Raises EngineError below LEAST_DICE."""
    frames = phantom_frames()
    with OnnxRuntimeEngine(load_bundle(bundle)) as reference:
        expected = probabilities(reference, frames.images)
    found = compare_masks(expected, probabilities(engine, frames.images))
    check_parity(engine.description, found, LEAST_DICE)
    return asdict(found)


def bare_loop(plan: Plan, seconds: float) -> float:
    """Frames/s of one context that is enqueued again and again on one stream, with nothing copied."""
    card, spec = find_card(), plan.spec
    plan.check_machine(installed_flavours(), card)
    if card is None:
        raise BackendError("no NVIDIA card is visible")
    with open_network(plan, card, cache_folder()) as (device, network):
        count, stream = network.least, device.stream()
        pixels = count * spec.engine.height * spec.engine.width
        frames = device.host_array((count, spec.engine.height, spec.engine.width, 3))
        memory = device.memory(3 * pixels), device.memory(pixels)
        enqueue = network.execution(count, *memory, stream)
        device.upload(memory[0], frames, stream)
        enqueue()
        stream.synchronise()
        if not network.replays:
            enqueue = device.capture(stream, enqueue)
        start, runs = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - start) < seconds:
            for _ in range(BLOCK):
                enqueue()
            stream.synchronise()
            runs += BLOCK
    return count * runs / elapsed


if __name__ == "__main__":
    sys.exit(step_main(app))
