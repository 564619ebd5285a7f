"""A training of a few steps on drawn polyps, by a network of a few weights."""

from pathlib import Path

from train.data import Source
from train.loop import Options, fit
from train.networks import NetworkSpec
from train.optimisation import Numerics
from train.recipe import Recipe

__all__ = ["BFLOAT16", "FLOAT32", "RECIPE", "run"]

SPEC = NetworkSpec("pranet-if", "tiny")
RECIPE = Recipe(steps=10, batch=4, sizes=((64, 0.5), (96, 0.5)), validate_every=4, lr_decoder=1e-2)
FLOAT32, BFLOAT16 = Numerics(channels_last=True, bfloat16=False), Numerics(channels_last=True, bfloat16=True)


def run(source: Source, out: Path, numerics: Numerics = FLOAT32, recipe: Recipe = RECIPE, **options) -> Path:
    return fit(SPEC, recipe, [source], out, Options(pretrained=False, numerics=numerics, **options))
