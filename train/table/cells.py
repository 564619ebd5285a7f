"""One cell of the table: a network trained from one seed, and its scores on the test parts.

A finished cell is `cell.json`, written last, and for each test part a CSV with one row an image: small
enough to be committed. What training needs lies in a run folder of its own, of which the weights are kept.
What is interrupted goes on, what is finished is left alone.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rtpolyp.errors import InputError
from rtpolyp.inference.processor import this_processor
from rtpolyp.measure.evaluation import Evaluation, FrameScore, evaluate_engine
from rtpolyp.printable import as_cell
from rtpolyp.spec import sha256_of
from train.checkpoint import load_checkpoint
from train.data import Source
from train.experiment.files import replace_file, replace_text, write_compact_json
from train.experiment.finished import has_finished, read_finished
from train.experiment.frames import FrameStore
from train.experiment.initialisation import draw_by_name
from train.experiment.numerics import agree_on, kept_numerics
from train.experiment.start import Start
from train.experiment.torch_engine import TorchEngine, engine_of
from train.experiment.training import Machine, curve, recipe_as_json, training_seconds
from train.loop import Options, fit
from train.networks import NetworkSpec
from train.optimisation import Numerics
from train.recipe import Recipe
from train.table.protocols import PROTOCOLS
from train.weights import save_weights

__all__ = ["SCHEMA", "WEIGHTS", "Cell", "csv_name", "is_finished", "read_cells", "run_cell", "settings_of"]

SCHEMA = 2
WEIGHTS = "weights.pt"  # what is left of a finished run folder
RUN_FILES = ("last.pt", "best.pt")  # ten times as large


@dataclass(frozen=True)
class Cell:
    """One training: which network learns what, from which seed."""

    protocol: str  # key of PROTOCOLS
    row: str  # key of ROWS
    arm: str  # of ARMS
    spec: NetworkSpec
    recipe: Recipe  # with the cell's seed
    sources: tuple[Source, ...]  # trained on together; each is scored on its own test part
    start: Start

    @property
    def name(self) -> str:
        """Its folder's path in the table's."""
        data = "+".join(source.name.replace(":", ".") for source in self.sources)
        ablation = f".{self.spec.ablation}" if self.spec.ablation else ""
        network = f"{self.spec.name}{ablation}.{self.spec.encoder}.{self.start.name(self.spec)}"
        return f"{data}/{network}/seed{self.recipe.seed}"


def run_cell(
    cell: Cell, results: Path, runs: Path, machine: Machine, store: FrameStore, numerics: Numerics | None
) -> None:
    """Train in `runs`, score, and write into `results`; without numerics, in those that its cells agree on.

    Both arms of a pair begin with the same weights wherever they share a layer, and see the same batches. The
    averaged weights of the last step are scored: neither the val nor the test part chooses any. Raises what
    `fit` raises: after a signal KeyboardInterrupt, and the same call goes on.
    """
    run, folder = runs / cell.name, results / cell.name
    fit(
        cell.spec,
        cell.recipe,
        cell.sources,
        run,
        Options(
            pretrained=cell.start.pretrained(cell.spec, cell.sources),
            init=cell.start.init_of(cell.spec),
            initialise=partial(draw_by_name, seed=cell.recipe.seed),
            load=store.load,
            resume=True,
            numerics=numerics or kept_numerics(results, machine.precision),
            agree=partial(agree_on, folder=results),
            **vars(machine),
        ),
    )
    checkpoint = load_checkpoint(run / "last.pt")
    replace_file(run / WEIGHTS, partial(save_weights, checkpoint))
    tests = {}
    with engine_of(checkpoint, machine.device) as engine:
        for source in cell.sources:
            rows = _rows(_score(engine, source, cell.recipe.picture_crop).with_polyp, cell.protocol)
            replace_text(folder / csv_name(source.name), _as_csv(rows))
            dice, iou = (float(np.mean([row[figure] for row in rows])) for figure in ("dice", "iou"))
            tests[source.name] = {"frames": len(rows), "dice": dice, "iou": iou}
    device = machine.device
    content = {
        "schema": SCHEMA,
        **settings_of(cell),
        "numerics": asdict(checkpoint.numerics),
        "scored_step": checkpoint.step,
        "tests": tests,
        "loss": _rounded(run / "train.csv", "loss"),
        "validation_dice": _rounded(run / "val.csv", "dice"),
        "training_seconds": round(training_seconds(run), 3),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "processor": this_processor().name,
        "torch": torch.__version__,
        "weights_sha256": sha256_of(run / WEIGHTS),
    }
    write_compact_json(content, folder / "cell.json")
    for name in RUN_FILES:
        (run / name).unlink(missing_ok=True)


def is_finished(cell: Cell, results: Path) -> bool:
    """Whether `results` holds this cell's scores; raises InputError when they are of another training."""
    return has_finished(results / cell.name / "cell.json", SCHEMA, settings_of(cell))


def read_cells(results: Path) -> list[tuple[Path, dict[str, Any]]]:
    """The finished cells in a table's folder: file and content, by path."""
    return read_finished(results, "*/*/seed*/cell.json", SCHEMA)


def csv_name(test: str) -> str:
    """The file of a test part's images in a cell's folder."""
    return f"{test.replace(':', '.')}.csv"


def settings_of(cell: Cell) -> dict[str, Any]:
    """What decides the scores, as JSON."""
    return {
        "protocol": cell.protocol,
        "row": cell.row,
        "arm": cell.arm,
        "seed": cell.recipe.seed,
        "network": asdict(cell.spec),
        "recipe": recipe_as_json(cell.recipe),
        "initialisation": cell.start.name(cell.spec),
    }


def _score(engine: TorchEngine, source: Source, crops_frames: bool) -> Evaluation:
    evaluation = evaluate_engine(engine, source.pairs("test"), crop="auto" if crops_frames else "off")
    if evaluation.seen:
        raise InputError(f"{source.name}: {evaluation.seen} test images were trained on. Take another split")
    return evaluation


def _rows(frames: Iterable[FrameScore], protocol: str) -> list[dict[str, Any]]:
    """Name, group where it is not the frame alone, Dice and IoU by the protocol's convention."""
    figures = PROTOCOLS[protocol].figures
    return [
        {
            "name": as_cell(frame.pair.name),
            "group": "" if frame.pair.group == frame.pair.name else as_cell(frame.pair.group),
            **dict(zip(("dice", "iou"), figures(frame), strict=True)),
        }
        for frame in frames
    ]


def _as_csv(rows: list[dict[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "dice": f"{row['dice']:.5f}", "iou": f"{row['iou']:.5f}"} for row in rows)
    return stream.getvalue()


def _rounded(file: Path, figure: str) -> dict[str, Any]:
    steps, values = curve(file, figure)
    return {"step": steps, "value": [round(one, 4) for one in values]}
