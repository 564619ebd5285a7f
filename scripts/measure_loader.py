"""Measure what drawing and augmenting costs a training step.

python scripts/measure_loader.py --data ../data/kvasir-seg:paper80-10-10 --device cuda [-o result.json]

The same trainer takes blocks of steps in turns: on batches as a run draws them, from frames that lie on the
device, and on one batch that lies there ready. The ratio of their times is the share of a step that is spent
on learning; the aim on a GPU is 0.95. Machines differ and drift: quote the ratio with the device.
"""

import argparse
import json
import math
import statistics
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch

from rtpolyp.errors import RtpolypError
from rtpolyp.inference.processor import this_processor
from rtpolyp.terminal.command_line import PREFIX
from train.batches import MARGIN, Batches
from train.data import load_frames, parse_source
from train.distributed import World
from train.networks import NetworkSpec, create_network
from train.optimisation import fastest_numerics
from train.recipe import recipe_for
from train.trainer import Trainer

BLOCK = 5  # steps of one turn


class Ready:
    """One batch that is there, in place of Batches."""

    def __init__(self, batches: Batches):
        self.batch = tuple(part.clone() for part in batches.draw(0))

    def draw(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch, whichever the step."""
        return self.batch


def measure(arguments: argparse.Namespace) -> dict[str, object]:
    """Train for a while; return seconds a step of both, and their ratio."""
    device = World().device(arguments.device)
    recipe = replace(recipe_for(arguments.net), batch=arguments.batch, sizes=((arguments.side, 1.0),))
    spec = NetworkSpec(arguments.net, arguments.encoder)
    sources = [parse_source(text) for text in arguments.data]
    frames = load_frames(sources, "train", math.ceil(MARGIN * arguments.side))
    network = create_network(spec, pretrained=False).to(device)
    numerics = fastest_numerics(network, recipe, device, arguments.precision)
    drawn = Batches(frames, recipe, device)
    trainer = Trainer(network, spec, recipe, numerics, drawn)
    candidates = {"drawn": drawn, "ready": Ready(drawn)}
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(arguments.rounds + 1):  # the first warms up
        for name, batches in candidates.items():
            trainer.batches = batches
            start = time.perf_counter()
            for _ in range(BLOCK):
                trainer.advance()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if turn:
                seconds[name].append((time.perf_counter() - start) / BLOCK)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    is_cuda = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if is_cuda else this_processor().name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "network": asdict(spec),
        "side": arguments.side,
        "batch": arguments.batch,
        "numerics": asdict(numerics),
        "seconds a step, each turn": {name: [round(v, 4) for v in seconds[name]] for name in seconds},
        "seconds a step": {name: round(value, 4) for name, value in medians.items()},
        "ready / drawn": round(medians["ready"] / medians["drawn"], 3),
    }


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", action="append", required=True, help="DIR[:SPLIT], repeatable")
    parser.add_argument("--net", default="pranet-if")
    parser.add_argument("--encoder", default=None)
    parser.add_argument("--side", type=int, default=352, help="pixels")
    parser.add_argument("--batch", type=int, default=16, help="images a step")
    parser.add_argument("--precision", default=None, help="float32, bfloat16, float16; default: measured")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("-o", "--output", type=Path, default=None, help="JSON file")
    arguments = parser.parse_args()
    try:
        result = measure(arguments)
    except RtpolypError as exc:
        print(f"{PREFIX}{exc}", file=sys.stderr)
        return 2
    text = json.dumps(result, indent=1, ensure_ascii=False)
    print(text)
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
