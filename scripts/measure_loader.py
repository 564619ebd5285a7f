"""Measure what drawing and augmenting costs a training step.

python scripts/measure_loader.py --data ../data/kvasir-seg:paper80-10-10 --device cuda [-o result.json]

The same trainer takes blocks of steps in turns: on batches as a run draws them, from frames that lie on the
device, and on one batch that lies there ready. The ratio of their times is the share of a step that is spent
on learning; the aim on a GPU is 0.95. Machines differ and drift: quote the ratio with the device.
"""

import json
import math
import statistics
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from cyclopts import Parameter

from rtpolyp.inference.processor import this_processor
from rtpolyp.measure.figure_files import write_text
from rtpolyp.terminal.command_line import make_app, run_app
from train.batches import MARGIN, Batches
from train.data import load_frames, parse_source
from train.distributed import World
from train.networks import NetworkSpec, create_network
from train.optimisation import fastest_numerics
from train.recipe import recipe_for
from train.trainer import Trainer

BLOCK = 5  # steps of one turn


app = make_app("python scripts/measure_loader.py", __doc__)


@Parameter(name="*")
@dataclass(frozen=True)
class Training:
    """What is trained."""

    data: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=False)]
    """DIR[:SPLIT], repeatable."""
    net: str = "pranet-if"
    """Network, see python -m train --list."""
    encoder: str | None = None
    """Its backbone; default: the network's."""
    side: int = 352
    """Of the input, in pixels."""
    batch: int = 16
    """Images of a step."""
    precision: str | None = None
    """float32, bfloat16 or float16; default: the fastest, measured."""
    device: str = "cpu"
    """cpu, cuda, cuda:1 …"""
    rounds: int = 10
    """Turns of each."""


class Ready:
    """One batch that is there, in place of Batches."""

    def __init__(self, batches: Batches):
        images, masks = batches.draw(0)
        self.batch = images.clone(), masks.clone()

    def draw(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch, whichever the step."""
        return self.batch


def measure(training: Training) -> dict[str, object]:
    """Train for a while; return seconds a step of both, and their ratio."""
    device = World().device(training.device)
    recipe = replace(recipe_for(training.net), batch=training.batch, sizes=((training.side, 1.0),))
    spec = NetworkSpec(training.net, training.encoder)
    sources = [parse_source(text) for text in training.data]
    frames = load_frames(sources, "train", math.ceil(MARGIN * training.side))
    network = create_network(spec, pretrained=False).to(device)
    numerics = fastest_numerics(network, recipe, device, training.precision)
    drawn = Batches(frames, recipe, device)
    trainer = Trainer(network, spec, numerics, drawn)
    candidates: dict[str, Any] = {"drawn": drawn, "ready": Ready(drawn)}
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(training.rounds + 1):  # the first warms up
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
        "side": training.side,
        "batch": training.batch,
        "numerics": asdict(numerics),
        "seconds a step, each turn": {name: [round(v, 4) for v in seconds[name]] for name in seconds},
        "seconds a step": {name: round(value, 4) for name, value in medians.items()},
        "ready / drawn": round(medians["ready"] / medians["drawn"], 3),
    }


@app.default
def main(
    *, training: Training, output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None
) -> None:
    """Measure and print.

    Parameters
    ----------
    output
        Write the result, a JSON file.
    """
    text = json.dumps(measure(training), indent=1, ensure_ascii=False)
    print(text)
    if output is not None:
        write_text(text + "\n", output)


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
