"""One cell of the table: a network trained from one seed, and its scores on the test parts.

A cell is a run folder of `train.loop.fit` that also holds `cell.json`, written last, and a CSV with one row
an image for each test part. What is interrupted goes on, what is finished is left alone.
"""

import csv
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rtpolyp.errors import InputError
from rtpolyp.inference.processor import this_processor
from rtpolyp.measure.evaluation import Evaluation, evaluate_engine
from rtpolyp.measure.report import to_dict, write_csv, write_json
from rtpolyp.spec import EngineSpec
from train.checkpoint import Checkpoint, load_checkpoint, load_network
from train.complexity import giga_macs, parameter_count
from train.data import Source
from train.export.parity import reference
from train.loop import fit
from train.optimisation import Numerics
from train.table.plan import Cell, recipe_as_json
from train.table.protocols import PROTOCOLS
from train.table.torch_engine import TorchEngine

__all__ = [
    "Machine",
    "csv_name",
    "engine_of",
    "is_finished",
    "read_cells",
    "replace_file",
    "run_cell",
    "training_seconds",
]

SCHEMA = 1
TIMED_IMAGES = 10


@dataclass(frozen=True)
class Machine:
    """Where and how a cell is trained, see `train.loop.fit`."""

    device: str = "cpu"
    precision: str | None = None
    compiles: bool = False
    save_minutes: float = 5.0


def run_cell(cell: Cell, folder: Path, machine: Machine, numerics: Numerics | None) -> Numerics:
    """Train and score; return the numerics, which are measured where None is given.

    The weights are chosen on the val part, or not at all; the test part decides nothing. Raises what `fit`
    raises: after a signal KeyboardInterrupt, and the same call goes on.
    """
    fit(
        cell.spec,
        cell.recipe,
        cell.sources,
        folder,
        pretrained=cell.start.pretrained(cell.spec, cell.sources),
        init=cell.start.init_of(cell.spec),
        resume=True,
        numerics=numerics,
        **asdict(machine),
    )
    device = machine.device
    checkpoint = load_checkpoint(folder / PROTOCOLS[cell.protocol].checkpoint)
    side = checkpoint.recipe.sizes[-1][0]
    tests = {}
    with engine_of(checkpoint, device) as engine:
        for source in cell.sources:
            evaluation = _score(engine, source)
            replace_file(folder / csv_name(source.name), partial(write_csv, evaluation))
            tests[source.name] = to_dict(evaluation)
    network = load_network(checkpoint)
    content = {
        "schema": SCHEMA,
        "protocol": cell.protocol,
        "row": cell.row,
        "arm": cell.arm,
        "seed": cell.recipe.seed,
        "network": asdict(cell.spec),
        "recipe": recipe_as_json(cell.recipe),
        "initialisation": cell.start.name(cell.spec),
        "side": side,
        "steps": checkpoint.recipe.steps,
        "scored_step": checkpoint.step,
        "validation_dice": checkpoint.best_dice,
        "training_seconds": training_seconds(folder),
        "parameters": parameter_count(network),
        "giga_macs": giga_macs(network, side),
        "images_per_second": _images_per_second(network.to(device), side),
        "numerics": asdict(checkpoint.numerics),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "processor": this_processor().name,
        "torch": torch.__version__,
        "tests": tests,
    }
    replace_file(folder / "cell.json", partial(write_json, content))
    return checkpoint.numerics


def is_finished(cell: Cell, folder: Path) -> bool:
    """Whether `folder` holds this cell's scores; raises InputError when they are of another training."""
    file = folder / "cell.json"
    if not file.is_file():
        return False
    content = _read_cell(file)
    stored = {**content["network"], **content["recipe"]}
    given = {**asdict(cell.spec), **recipe_as_json(cell.recipe)}
    changed = [
        f"{key} {value} → {given.get(key)}" for key, value in stored.items() if value != given.get(key)
    ]
    if changed:
        raise InputError(f"{file}: was trained with other settings: {', '.join(changed)}. Give another -o")
    return True


def _read_cell(file: Path) -> dict[str, Any]:
    """What `run_cell` wrote. Raises InputError for a broken or foreign file."""
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        schema = content["schema"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(f"{file}: not the scores of a cell ({exc!r}). Delete it, to score again") from exc
    if schema != SCHEMA:
        raise InputError(f"{file}: schema {schema}, this version reads {SCHEMA}. Delete it, to score again")
    return content


def read_cells(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """The finished cells in a table's folder: file and content, by path."""
    return [(file, _read_cell(file)) for file in sorted(folder.glob("*/*/seed*/cell.json"))]


def csv_name(test: str) -> str:
    """The file of a test part's images in a cell's folder."""
    return f"{test.replace(':', '.')}.csv"


def engine_of(checkpoint: Checkpoint, device: str) -> TorchEngine:
    """The checkpoint's network at its training size, with threshold 0.5 and nothing dropped."""
    side = checkpoint.recipe.sizes[-1][0]
    spec = EngineSpec(
        checkpoint.spec.name, checkpoint.spec.name, checkpoint.spec.encoder or "", side, side,
        threshold=0.5, minimum_area=0.0, minimum_confidence=0.0,
        trained_on=tuple(file.sha256[:16] for file in checkpoint.seen),
    )  # fmt: skip
    return TorchEngine(load_network(checkpoint).to(device), spec)


def _score(engine: TorchEngine, source: Source) -> Evaluation:
    evaluation = evaluate_engine(engine, source.pairs("test"))
    if evaluation.seen:
        raise InputError(f"{source.name}: {evaluation.seen} test images were trained on. Take another split")
    return evaluation


def _images_per_second(network: nn.Module, side: int) -> float:
    """One image at a time in float32, from bytes to bytes; by the median of a few."""
    frame = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
    seconds = []
    for _ in range(1 + TIMED_IMAGES):
        start = time.perf_counter()
        reference(network, frame)
        seconds.append(time.perf_counter() - start)
    return 1 / statistics.median(seconds[1:])  # the first warms caches and kernels up


def training_seconds(folder: Path) -> float:
    """All steps of the run, over all its interruptions, without validation and checkpoints."""
    with (folder / "train.csv").open(newline="") as stream:
        rows = [(int(row["step"]), float(row["s/step"])) for row in csv.DictReader(stream)]
    before = [0, *(step for step, _ in rows)]
    return sum((step - start) * pace for start, (step, pace) in zip(before, rows, strict=False))


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write to a file beside and rename, so that `path` is whole or absent."""
    beside = path.with_name(path.name + ".partial")
    write(beside)
    os.replace(beside, path)
