"""Checkpoints: what a run needs to go on, and what everybody else needs to use its weights.

A run folder holds `last.pt` (everything) and `best.pt` (averaged weights of the best validation, without what
only resuming needs); a bundle holds the latter as `weights.pt`, in half the bytes. All load with
`torch.load(weights_only=True)`: plain types and tensors throughout.
"""

import io
import os
import pickle
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rtpolyp.errors import InputError, OutputError
from train.data import TrainingFile
from train.networks import NetworkSpec, create_network
from train.networks.second_look import LooksTwice
from train.optimisation import Numerics
from train.recipe import Recipe

__all__ = ["SECOND_LOOK", "Checkpoint", "load_checkpoint", "load_network", "save_checkpoint"]

FORMAT = 2
SECOND_LOOK = "second_look."  # what its weights' names begin with
FILES = ("files", "earlier", "looked_at")  # fields of a checkpoint that list files
# what torch.load and plain types raise for a file that is broken, or that something else has written
UNREADABLE = (
    OSError, EOFError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, pickle.UnpicklingError
)  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """One moment of a run."""

    spec: NetworkSpec
    recipe: Recipe
    numerics: Numerics
    step: int  # optimiser steps done
    ema: dict[str, torch.Tensor]  # averaged weights, float32: what is validated and shipped
    mean: tuple[float, ...]  # RGB, 0–255 units: what images are normalised with
    std: tuple[float, ...]
    files: tuple[TrainingFile, ...]  # every file trained on
    earlier: tuple[TrainingFile, ...]  # every file that the weights it began with come from
    best_dice: float  # best macro validation Dice so far; in best.pt, that of these weights
    lessons: tuple[str, ...] = ()  # SHA-256 of teachers and of a list of hard crops, if there were any
    data: tuple[str, ...] = ()  # DIR:SPLIT of each source, as it lay; not in a bundle's weights
    averaged: tuple[str, ...] = ()  # the checkpoints whose mean these weights are, see train.average
    joined: tuple[str, ...] = ()  # the checkpoints of an ensemble's members, see train.second_look.beside
    second_look: dict[str, Any] | None = None  # sources, size, operating point and its outcomes
    looked_at: tuple[TrainingFile, ...] = ()  # every file that the second look was fitted to
    stale: int = 0  # validations since then
    lr_scale: float = 1.0  # what plateaus have left of the learning rate
    model: dict[str, torch.Tensor] | None = None  # the weights that the optimiser moves; last.pt only
    optimiser: dict[str, Any] | None = None  # last.pt only
    scaler: dict[str, Any] | None = None  # float16's loss scale; last.pt only

    def without_second_look(self) -> "Checkpoint":
        """The network as it was trained."""
        weights = {name: weight for name, weight in self.ema.items() if not name.startswith(SECOND_LOOK)}
        return replace(self, ema=weights, second_look=None, looked_at=())

    @property
    def seen(self) -> tuple[TrainingFile, ...]:
        """Every file that the weights come from, through all fine-tunings."""
        return tuple(dict.fromkeys((*self.files, *self.earlier, *self.looked_at)))


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write atomically: a crash or a full disk leaves the previous file whole. Raises OutputError."""
    plain = dict(vars(checkpoint))
    for name in ("spec", "recipe", "numerics"):
        plain[name] = asdict(plain[name])
    for name in FILES:
        plain[name] = [(file.source, file.name, file.sha256) for file in plain[name]]
    content = io.BytesIO()  # torch.save to a file hides why that cannot be written
    torch.save({"format": FORMAT, **plain}, content)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as stream:
            stream.write(content.getbuffer())
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except OSError as exc:
        partial.unlink(missing_ok=True)
        raise OutputError(
            f"{path}: cannot be written ({exc.strerror}). Free space or choose another -o"
        ) from exc


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint onto the CPU. Raises InputError for a missing, broken or foreign file."""
    if not path.is_file():
        best = path / "best.pt"
        remedy = f"Give {best}" if best.is_file() else "Train one with python -m train"
        raise InputError(f"{path}: no such checkpoint. {remedy}")
    try:
        plain = torch.load(path, map_location="cpu", weights_only=True)
        version = plain.pop("format")
        if version != FORMAT:
            raise InputError(
                f"{path}: checkpoint format {version}, this version reads {FORMAT}. Train or export it again"
            )
        plain["spec"] = NetworkSpec(**plain["spec"])
        plain["recipe"] = Recipe(**plain["recipe"])
        plain["numerics"] = Numerics(**plain["numerics"])
        for name in FILES:
            plain[name] = tuple(TrainingFile(*file) for file in plain.get(name, ()))
        return Checkpoint(**plain)
    except UNREADABLE as exc:
        raise InputError(
            f"{path}: not a checkpoint that this version can read. Give best.pt or last.pt of a run"
        ) from exc


def load_network(checkpoint: Checkpoint) -> nn.Module:
    """The network with the checkpoint's averaged weights, in evaluation mode."""
    network = create_network(checkpoint.spec, pretrained=False)
    if isinstance(network, LooksTwice) and any(name.startswith(SECOND_LOOK) for name in checkpoint.ema):
        network.add_second_look()
    network.load_state_dict(checkpoint.ema)
    return network.eval()
