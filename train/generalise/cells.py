"""One training of the protocol: a fold, a recipe and a seed; trained, scored and written down.

A cell is a run folder of `train.loop.fit` that also holds `frames.csv`, a row for each scored frame, and
`cell.json`, written last; with a second look, `looked.pt` is what was scored. What is interrupted goes on,
what is finished is left alone.
"""

import logging
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rtpolyp.errors import InputError
from rtpolyp.imaging.picture import Crop
from rtpolyp.measure.crops import evaluate_crops, polyp_free_crops
from rtpolyp.measure.evaluation import Evaluation, evaluate_engine, read_pair
from rtpolyp.measure.figure_files import write_json
from rtpolyp.measure.report import to_dict, write_csv
from rtpolyp.settings import Settings
from rtpolyp.spec import sha256_of
from train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from train.data import Source
from train.experiment.files import replace_file
from train.experiment.finished import has_finished, read_finished
from train.experiment.frames import FrameStore
from train.experiment.numerics import agree_on, kept_numerics
from train.experiment.start import Start
from train.experiment.torch_engine import engine_of
from train.experiment.training import Machine, recipe_as_json, training_seconds
from train.export.heldout import load_held_out
from train.export.judgement import point_on, seen_by, views_of
from train.export.operating_point import OperatingPoint
from train.generalise.branches import train_branches
from train.generalise.hospitals import Fold
from train.generalise.ingredients import BASELINE, FLAGS, Ingredient
from train.generalise.mining import mine
from train.hard_crops import write_hard_crops
from train.loop import Options, fit
from train.networks import NetworkSpec
from train.recipe import Recipe
from train.second_look.look import look_twice

__all__ = ["WITHOUT_LOOK", "Cell", "is_finished", "is_ready", "read_cells", "run_cell"]

log = logging.getLogger(__name__)

SCHEMA = 1
LOOKED = "looked.pt"  # the network of best.pt with its second look
WITHOUT_LOOK = "without_second_look"  # the scores of best.pt beside those of LOOKED
CROPS = 400  # polyp-free crops of the left-out hospital's frames


@dataclass(frozen=True)
class Cell:
    """What is trained, and what it is scored on."""

    stage: str  # "screen" or "full"
    label: str  # BASELINE, an ingredient, or "final"
    fold: Fold
    parts: tuple[str, ...]  # of the left-out hospital that are scored
    spec: NetworkSpec
    recipe: Recipe  # with the cell's seed
    start: Start
    arm: Ingredient  # what is added to the baseline; its changes are in the recipe
    teachers: tuple[str, ...] = ()  # labels of cells of the same fold and seed

    @property
    def name(self) -> str:
        """Its folder's path in that of the whole protocol."""
        return self.path_of(self.label)

    @property
    def needs(self) -> tuple[str, ...]:
        """Paths of the cells that must be finished before this one begins."""
        labels = (*self.teachers, *([BASELINE] if self.arm.mines or self.arm.branches else []))
        return tuple(map(self.path_of, labels))

    @property
    def sources(self) -> tuple[Source, ...]:
        """What it trains on, and chooses its checkpoint by."""
        return self.fold.chosen_on if self.arm.normal else self.fold.sources

    def path_of(self, label: str) -> str:
        """The folder of another recipe's cell of this fold and seed."""
        return f"{self.stage}/{self.fold.left_out}/{label}/seed{self.recipe.seed}"


def run_cell(cell: Cell, out: Path, machine: Machine, store: FrameStore) -> None:
    """Train and score, in the numerics that the cells of `out` agree on.

    Raises what `fit` raises: after a signal KeyboardInterrupt, and the same call goes on.
    """
    folder = out / cell.name
    teachers = _teachers(cell, out)
    _train(cell, out, machine, store)
    checkpoint = load_checkpoint(folder / "best.pt")
    evaluation, scores = _score(cell, checkpoint, _point_of(cell, checkpoint, machine.device), machine.device)
    before: dict[str, Any] = {}
    if cell.arm.looks:
        before = {WITHOUT_LOOK: scores}
        looked = look_twice(checkpoint, cell.fold.chosen_on, checkpoint.recipe.final_size, cell.name)
        save_checkpoint(folder / LOOKED, looked.checkpoint)
        evaluation, scores = _score(cell, looked.checkpoint, looked.left_out.point, machine.device)
    replace_file(folder / "frames.csv", partial(write_csv, evaluation))
    content = {
        "schema": SCHEMA,
        "stage": cell.stage,
        "fold": cell.fold.left_out,
        "label": cell.label,
        "seed": cell.recipe.seed,
        "scored_parts": list(cell.parts),
        **_settings(cell),
        "numerics": asdict(checkpoint.numerics),
        "teachers": {label: sha256_of(file) for label, file in zip(cell.teachers, teachers, strict=True)},
        "scored_step": checkpoint.step,
        "validation_dice": checkpoint.best_dice,
        "training_seconds": sum(training_seconds(file.parent) for file in folder.rglob("train.csv")),
        "checkpoint_sha256": sha256_of(folder / (LOOKED if cell.arm.looks else "best.pt")),
        "scores": scores,
        **before,
    }
    replace_file(folder / "cell.json", partial(write_json, content))


def is_finished(cell: Cell, out: Path) -> bool:
    """Whether `out` holds this cell's scores; raises InputError when they are of another training."""
    return has_finished(out / cell.name / "cell.json", SCHEMA, _settings(cell))


def is_ready(cell: Cell, out: Path) -> bool:
    """Whether the cells that this one learns from are finished."""
    return all((out / path / "cell.json").is_file() for path in cell.needs)


def read_cells(out: Path, stage: str) -> list[tuple[Path, dict[str, Any]]]:
    """The finished cells of a stage: file and content, by path."""
    return read_finished(out / stage, "*/*/seed*/cell.json", SCHEMA)


def _settings(cell: Cell) -> dict[str, Any]:
    """What decides the scores beside the names in the cell's path, as JSON."""
    added = [name for name in FLAGS if getattr(cell.arm, name)]
    return {
        "network": asdict(cell.spec),
        "recipe": recipe_as_json(cell.recipe),
        "added": added,
        "taught_by": list(cell.teachers),
        "random_init": cell.start.random,
        "backbone_weights": cell.start.backbone_weights,
    }


def _point_of(cell: Cell, checkpoint: Checkpoint, device: str) -> OperatingPoint:
    """The point that the export would choose, on the val parts of the other hospitals."""
    size = (checkpoint.recipe.final_size,) * 2
    held_out = load_held_out(cell.fold.chosen_on, size, picture_crop=checkpoint.recipe.picture_crop)
    with engine_of(checkpoint, device) as engine:
        return point_on(seen_by(engine, views_of(held_out, size, seed=0), held_out))


def _score(
    cell: Cell, checkpoint: Checkpoint, point: OperatingPoint, device: str
) -> tuple[Evaluation, dict[str, Any]]:
    """On the hospital that was left out: each frame, and all figures as JSON."""
    scored, settings = cell.fold.scored(cell.parts), Settings(**asdict(point))
    with_polyp = [pair for pair in scored if read_pair(pair)[1].any()]
    crops = polyp_free_crops(with_polyp, min(CROPS, 2 * len(with_polyp)))  # the same in every recipe
    with engine_of(checkpoint, device) as engine:
        crop: Crop = "auto" if checkpoint.recipe.picture_crop else "off"
        evaluation = evaluate_engine(engine, scored, settings, crop=crop)
        crop_scores = evaluate_crops(engine, crops, settings)
    if evaluation.seen:
        raise InputError(f"{cell.name}: {evaluation.seen} frames to score were trained on. Check the splits")
    scores = to_dict(evaluation, crops=crop_scores)
    del scores["froc"]  # thousands of points, from which the report takes none
    return evaluation, scores


def _train(cell: Cell, out: Path, machine: Machine, store: FrameStore) -> None:
    """Leave best.pt in the cell's folder."""
    sources, folder = cell.sources, out / cell.name
    numerics = kept_numerics(out, machine.precision)

    def train(recipe: Recipe, where: Path, **begins: Any) -> None:
        fit(
            cell.spec,
            recipe,
            sources,
            where,
            Options(
                teachers=list(map(str, _teachers(cell, out))),
                hard_crops=_hard_crops(cell, out, machine) if cell.arm.mines else None,
                load=store.load,
                resume=True,
                numerics=numerics,
                agree=partial(agree_on, folder=out),
                **begins,
                **vars(machine),
            ),
        )

    if cell.arm.branches:
        begins = str(out / cell.path_of(BASELINE) / "best.pt")
        held_out_at = partial(store.load, sources, "val", picture_crop=cell.recipe.picture_crop)
        recipe = cell.recipe.for_frames(sum(len(source.pairs("train")) for source in sources))
        train_branches(recipe, folder, partial(train, init=begins), held_out_at)
    else:
        train(cell.recipe, folder, pretrained=cell.start.pretrained(cell.spec, sources))


def _teachers(cell: Cell, out: Path) -> list[Path]:
    return [out / cell.path_of(label) / "best.pt" for label in cell.teachers]


def _hard_crops(cell: Cell, out: Path, machine: Machine) -> Path:
    """The list that the baseline's network of this fold and seed fell for; mined once."""
    file = out / cell.path_of(BASELINE) / "hard_crops.csv"
    if not file.is_file():
        checkpoint = load_checkpoint(file.with_name("best.pt"))
        log.info("mining hard crops for %s", cell.name)
        with engine_of(checkpoint, machine.device) as engine:
            write_hard_crops(mine(engine, cell.sources, cell.recipe.seed), file)
    return file
