"""Networks that have seen every public hospital but the one left out, and what fine-tuning makes of them."""

from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from train.checkpoint import load_checkpoint, load_network
from train.data import Source
from train.experiment.torch_engine import TorchEngine, engine_of
from train.export.heldout import load_held_out
from train.export.judgement import point_on, seen_by, views_of
from train.generalise.hospitals import Fold
from train.loop import Options, fit
from train.networks import NetworkSpec
from train.recipe import Recipe
from train.table.number_format import FLOAT32

__all__ = ["LEFT_OUT", "at_operating_point", "fine_tuned", "train_base"]

LEFT_OUT = "cvc-612"
SIDE = 192  # pixels
NETWORKS = {"first": NetworkSpec("pranet-if"), "second": NetworkSpec("pranet-if", "mobilenetv2")}
BASE = Recipe(steps=600, sizes=((SIDE, 1.0),), validate_every=600)
# As docs/own-data.md says, for few frames: 13 passes over 100 of them.
FINE_TUNING = Recipe(steps=80, sizes=((SIDE, 1.0),), validate_every=80, lr_encoder=1e-4, lr_decoder=4e-4)


def train_base(which: str, fold: Fold, data: Path, folder: Path) -> Path:
    """One of NETWORKS on the fold's hospitals; return its checkpoint. A call that was cut off goes on."""
    spec = NETWORKS[which]
    encoder = data / "weights" / "mobilenetv2_imagenet" if spec.encoder == "mobilenetv2" else True
    recipe = replace(BASE, seed=list(NETWORKS).index(which))
    return _fit(spec, recipe, fold.sources, folder, pretrained=encoder)


def fine_tuned(first: Path, frames: Source, seed: int, folder: Path) -> Path:
    """The first network, trained further on `frames` alone; return its checkpoint."""
    return _fit(NETWORKS["first"], replace(FINE_TUNING, seed=seed), (frames,), folder, init=str(first))


def at_operating_point(name: str, file: Path, fold: Fold) -> AbstractContextManager[TorchEngine]:
    """A network at the point that an export would choose on the val parts of the fold's hospitals."""
    checkpoint = load_checkpoint(file)
    with engine_of(checkpoint, "cpu") as plain:
        held_out = load_held_out(fold.sources, plain.spec.size)
        point = point_on(seen_by(plain, views_of(held_out, plain.spec.size, seed=0), held_out))
        spec = replace(plain.spec, name=name, **asdict(point))
    return TorchEngine(load_network(checkpoint), spec)


def _fit(spec: NetworkSpec, recipe: Recipe, sources: tuple[Source, ...], folder: Path, **begins: Any) -> Path:
    options = Options(resume=True, numerics=FLOAT32, save_minutes=3.0, **begins)
    fit(spec, recipe, sources, folder, options)
    return folder / "last.pt"  # its averaged weights: no validation has chosen any
