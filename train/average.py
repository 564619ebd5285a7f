"""`python -m train.average`: the mean of the weights of trainings that began with the same ones.

Runs that go on from one checkpoint, each with a seed or an emphasis of its own, end in one basin of the loss,
and the mean of their weights often travels better than each (Wortsman et al., arXiv:2203.05482). It costs
nothing at run time. Runs that did not begin with the same weights have nothing in common to average. A run
that deepened its encoder (`--init`) began with the same function, so it can be averaged with shallower ones.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
from cyclopts import Parameter

from rtpolyp.errors import InputError
from rtpolyp.terminal.command_line import make_app
from train.checkpoint import Checkpoint, load_network, save_checkpoint
from train.command_line import run_program
from train.data import Frames, check_size, load_frames, parse_source
from train.initial import as_deep_as, load_initial
from train.leaks import check_unseen
from train.validate import Validation, validate

__all__ = ["mean_of", "score"]

BATCH = 16  # validation frames at a time
CPU = torch.device("cpu")

app = make_app("python -m train.average", __doc__)


@app.default
def main(
    checkpoint: Annotated[tuple[str, ...], Parameter(negative="")],
    /,
    *,
    data: Annotated[list[str], Parameter(consume_multiple=False)],
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    size: int = 288,
) -> None:
    """Average checkpoints and score each of them, and their mean, on validation frames.

    Parameters
    ----------
    checkpoint
        best.pt of runs, or bundles: folders, or names of shipped ones. Where the encoder of the first is a
        deeper one of the same family, the others are deepened to it.
    data
        DIR[:SPLIT], repeatable: data sets whose val parts are scored; those that the first was trained on.
    out
        Checkpoint to write, which `python -m train.export` and --init take.
    size
        Side of the frames in pixels, a multiple of 32.
    """
    check_size(size)
    if len(set(checkpoint)) < len(checkpoint):
        raise InputError("a checkpoint is given twice and would count once. Give a copy of it another name")
    loaded = [load_initial(text) for text in checkpoint]
    members = {text: as_deep_as(loaded[0], one) for text, one in zip(checkpoint, loaded, strict=True)}
    mean = mean_of(members)
    sources = [parse_source(text) for text in data]
    check_unseen(sources, mean.seen, "the mean")
    frames = load_frames(sources, "val", size, picture_crop=mean.recipe.picture_crop)
    for text, member in {**members, "mean": mean}.items():
        result = score(member, frames)
        if member is mean:
            mean = replace(mean, best_dice=result.macro_dice)
        each = ", ".join(f"{name} {dice:.4f}" for name, dice in result.dice.items())
        outlined = f"{result.false_outlines:.1%} of polyp-free frames outlined"
        print(f"{text}: Dice {result.macro_dice:.4f} ({each}), {outlined}", flush=True)
    save_checkpoint(out, mean)


def mean_of(members: dict[str, Checkpoint]) -> Checkpoint:
    """The mean of the members' averaged weights, each as much; what belongs to a run is the first's.

    Raises InputError for fewer than two, and for networks or normalisations that differ.
    """
    first, *others = members.values()
    if not others:
        raise InputError(f"{next(iter(members))}: one checkpoint has no mean. Give two or more")
    for text, member in members.items():
        if (member.spec, member.mean, member.std) != (first.spec, first.mean, first.std):
            raise InputError(
                f"{text}: {member.spec.name} on {member.spec.encoder}, the first is {first.spec.name} on "
                f"{first.spec.encoder}. Average runs of one network"
            )
    weights = {name: _mean([member.ema[name] for member in members.values()]) for name in first.ema}
    return replace(
        first,
        ema=weights,
        earlier=tuple(dict.fromkeys(file for member in members.values() for file in member.seen)),
        lessons=tuple(dict.fromkeys(lesson for member in members.values() for lesson in member.lessons)),
        averaged=tuple(members),
        model=None,
        optimiser=None,
        scaler=None,
    )


def score(checkpoint: Checkpoint, frames: Frames) -> Validation:
    """Score its averaged weights on validation frames, on the CPU."""
    return validate(load_network(checkpoint), frames, BATCH, CPU)


def _mean(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """The mean of parameters and statistics; a count of batches is the first's."""
    return torch.stack(list(tensors)).mean(0) if tensors[0].is_floating_point() else tensors[0]


if __name__ == "__main__":
    run_program(app)
