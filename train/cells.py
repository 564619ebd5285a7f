"""One cell of the paper's table: one network trained from one seed, and its scores on the test part.

A cell is a run folder of `train.loop.fit` that also holds `cell.json`, written last, and a CSV with one row
an image for each data set. What is interrupted goes on, what is finished is left alone.
"""

import csv
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
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
from rtpolyp.spec import EngineSpec, image_fingerprint
from train.checkpoint import Checkpoint, load_checkpoint, load_network
from train.complexity import giga_macs, parameter_count
from train.data import Source
from train.loop import fit
from train.networks import OWN_ENCODED, NetworkSpec
from train.optimisation import Numerics
from train.parity import reference
from train.recipe import Recipe
from train.torch_engine import TorchEngine

__all__ = ["ARMS", "Cell", "Start", "arms_of", "check_test_is_unseen", "is_finished", "run_cell"]

ARMS = ("plain", "IF")
TIMED_IMAGES = 10
SETTINGS = ("network", "recipe", "initialisation")  # of cell.json: what makes two cells the same training


@dataclass(frozen=True)
class Start:
    """What the weights of a cell begin with."""

    random: bool = False  # the encoder too
    backbone_weights: str | None = None  # a path, or "imagenet"; None: beside the data, else a package's
    init: str | None = None  # a bundle or checkpoint, see train.initial

    def pretrained(self, spec: NetworkSpec, sources: Sequence[Source]) -> bool | Path | str:
        """What `create_network` takes."""
        if self.random or spec.name in OWN_ENCODED:
            return False
        if self.backbone_weights:
            return "imagenet" if self.backbone_weights == "imagenet" else Path(self.backbone_weights)
        beside_data = sources[0].folder.parent / "weights" / f"{spec.encoder}_imagenet"
        return beside_data if beside_data.exists() else True

    def name(self, spec: NetworkSpec) -> str:
        """Of the initialisation, as the table calls it: extra, random or ImageNet."""
        if self.init:
            return "extra"
        return "random" if self.random or spec.name in OWN_ENCODED else "ImageNet"


@dataclass(frozen=True)
class Cell:
    """Which network learns what, from which seed."""

    row: str  # of the paper's table, e.g. "pranet"
    arm: str  # of ARMS
    spec: NetworkSpec
    recipe: Recipe  # with the cell's seed
    sources: tuple[Source, ...]  # trained on together; each is scored on its own test part
    start: Start

    @property
    def name(self) -> str:
        """Its folder's path in the table's."""
        data = "+".join(source.name.replace(":", ".") for source in self.sources)
        return f"{data}/{self.spec.name}.{self.spec.encoder}/seed{self.recipe.seed}"

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides the weights, ready for JSON."""
        return {
            "network": asdict(self.spec),
            "recipe": json.loads(json.dumps(asdict(self.recipe))),  # tuples become lists, as in a file
            "initialisation": self.start.name(self.spec),
        }


def arms_of(row: str, encoder: str | None) -> dict[str, NetworkSpec]:
    """The two networks of a row, which share one trunk and differ by the fusion alone.

    FCN's plain arm has 1×1 scores and a sum in place of fc6 and fc7; PraNet's fusion reads strides 8, 16 and
    32, as its reverse attention does. `encoder` is for the networks that take one.
    """
    encoder = None if row in OWN_ENCODED else encoder
    plain = NetworkSpec(row, encoder, head="conv" if row == "fcn" else None)
    return {
        "plain": plain,
        "IF": NetworkSpec(f"{row}-if", encoder, stride4=False if row == "pranet" else None),
    }


def check_test_is_unseen(sources: Sequence[Source]) -> None:
    """Raise InputError when a test image of any source is one to train or to choose on in another part."""
    seen = {}
    for source in sources:
        for part in ("train", "val"):
            seen |= {image_fingerprint(pair.image): f"{source.name}_{part}" for pair in source.pairs(part)}
    for source in sources:
        leaked = [
            (p.image, seen[f]) for p in source.pairs("test") if (f := image_fingerprint(p.image)) in seen
        ]
        if leaked:
            raise InputError(
                f"{leaked[0][0]}: {len(leaked)} test images of {source.name} are also in {leaked[0][1]}. "
                "Choose splits of one protocol"
            )


def is_finished(cell: Cell, folder: Path) -> bool:
    """Whether `folder` holds this cell's scores; raises InputError when they are of another training."""
    file = folder / "cell.json"
    if not file.is_file():
        return False
    stored, given = (_flat(settings) for settings in (read_cell(file), cell.settings))
    changed = [
        f"{name} {stored[name]} → {given.get(name)}" for name in stored if stored[name] != given.get(name)
    ]
    if changed:
        raise InputError(f"{file}: was trained with other settings: {', '.join(changed)}. Give another -o")
    return True


def read_cell(file: Path) -> dict[str, Any]:
    """A `cell.json`. Raises InputError for a broken or foreign file."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {**content, **{name: content[name] for name in (*SETTINGS, "tests")}}
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(f"{file}: not the scores of a cell ({exc!r}). Delete it, to score again") from exc


def run_cell(
    cell: Cell, folder: Path, *, numerics: Numerics | None, save_minutes: float, device: str
) -> Numerics:
    """Train and score; return the numerics, which are measured where None is given.

    The weights with the best validation are scored; the test part decides nothing. Raises what `fit` raises:
    after a signal KeyboardInterrupt, and the same call goes on.
    """
    best = fit(
        cell.spec,
        cell.recipe,
        cell.sources,
        folder,
        pretrained=cell.start.pretrained(cell.spec, cell.sources),
        init=cell.start.init,
        resume=True,
        save_minutes=save_minutes,
        device=device,
        numerics=numerics,
    )
    checkpoint = load_checkpoint(best)
    network = load_network(checkpoint).to(device)
    side = cell.recipe.sizes[-1][0]
    tests = {}
    for source in cell.sources:
        evaluation = _score(network, checkpoint, source, side)
        _replace(
            folder / f"{source.folder.name}.csv", lambda path, result=evaluation: write_csv(result, path)
        )
        tests[source.name] = to_dict(evaluation)
    content = {
        "row": cell.row,
        "arm": cell.arm,
        **cell.settings,
        "seed": cell.recipe.seed,
        "side": side,
        "parameters": parameter_count(network),
        "giga_macs": giga_macs(network.cpu(), side),
        "images_per_second": _images_per_second(network.to(device), side),
        "training_seconds": _training_seconds(folder),
        "chosen_step": checkpoint.step,
        "validation_dice": checkpoint.best_dice,
        "numerics": asdict(checkpoint.numerics),
        "device": device if device == "cpu" else torch.cuda.get_device_name(device),
        "processor": this_processor().name,
        "torch": torch.__version__,
        "tests": tests,
    }
    _replace(folder / "cell.json", partial(write_json, content))
    return checkpoint.numerics


def _score(network: nn.Module, checkpoint: Checkpoint, source: Source, side: int) -> Evaluation:
    seen = tuple(file.sha256[:16] for file in (*checkpoint.files, *checkpoint.earlier))
    spec = EngineSpec(
        checkpoint.spec.name, checkpoint.spec.name, checkpoint.spec.encoder, side, side,
        threshold=0.5, minimum_area=0.0, minimum_confidence=0.0, trained_on=seen,
    )  # fmt: skip
    with TorchEngine(network, spec) as engine:
        evaluation = evaluate_engine(engine, source.pairs("test"))
    if evaluation.seen:
        raise InputError(
            f"{source.name}: {evaluation.seen} test images were trained on. Choose another split"
        )
    return evaluation


def _images_per_second(network: nn.Module, side: int) -> float:
    """One image at a time, float32, from bytes to bytes; the median of a few."""
    frame = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
    seconds = []
    for _ in range(1 + TIMED_IMAGES):
        start = time.perf_counter()
        reference(network, frame)
        seconds.append(time.perf_counter() - start)
    return 1 / statistics.median(seconds[1:])  # the first warms caches and kernels up


def _training_seconds(folder: Path) -> float:
    """All steps of the run, over all its interruptions, without validation and checkpoints."""
    with (folder / "train.csv").open(newline="") as stream:
        rows = [(int(row["step"]), float(row["s/step"])) for row in csv.DictReader(stream)]
    before = [0, *(step for step, _ in rows)]
    return sum((step - start) * pace for start, (step, pace) in zip(before, rows, strict=False))


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write to a file beside and rename, so that `path` is whole or absent."""
    beside = path.with_name(path.name + ".partial")
    write(beside)
    os.replace(beside, path)


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """The fields of SETTINGS by their own names."""
    flat: dict[str, Any] = {}
    for name in SETTINGS:
        value = settings[name]
        flat |= value if isinstance(value, dict) else {name: value}
    return flat
