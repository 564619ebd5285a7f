"""Trainer: all that an optimiser step changes, how to save it and how to go on from what was saved."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import nn

from rtpolyp.errors import RtpolypError
from train.augmentation.augment import normalise
from train.batches import Batches
from train.checkpoint import Checkpoint
from train.data import TrainingFile
from train.distillation import distilled_loss, soft_masks
from train.distributed import World
from train.encoders.encoder import encoder_of
from train.host_memory import keep_freed_memory
from train.losses import LOSSES, total
from train.networks import NetworkSpec
from train.optimisation import Numerics, WeightAverage, clip_gradients, create_optimiser, set_learning_rate

__all__ = ["Lineage", "Trainer"]


@dataclass(frozen=True)
class Lineage:
    """What a network comes from and learns from, beside its batches."""

    earlier: tuple[TrainingFile, ...] = ()  # what its initial weights were trained on
    teachers: Sequence[nn.Module] = ()  # in evaluation mode, on its device
    lessons: tuple[str, ...] = ()  # hashes that name teachers and hard crops in checkpoints


class Trainer:
    """A network on its way: `advance` does one step, `means` tells about the steps since the last look.

    `network` lies on the device of `batches`, whose recipe it follows. Beside the true masks it learns those
    of the `lineage`'s teachers. Each process of `world` has a trainer of its own: all take the same steps,
    each on its share of the batch. `compiles` runs the network through `torch.compile`.
    """

    def __init__(
        self,
        network: nn.Module,
        spec: NetworkSpec,
        numerics: Numerics,
        batches: Batches,
        lineage: Lineage = Lineage(),
        world: World = World(),  # noqa: B008 – frozen
        compiles: bool = False,
    ):
        keep_freed_memory()  # for the next step
        self.network: nn.Module = numerics.place(network).train()
        self.encoder = encoder_of(network)
        self.spec = spec
        self.recipe = recipe = batches.recipe
        self.numerics = numerics
        self.batches = batches
        self.lineage = lineage
        self.teachers = [numerics.place(teacher) for teacher in lineage.teachers]
        self.world = world
        self.compiles = compiles
        self.forward = world.parallel(self.network)
        if compiles:
            self.forward = cast(nn.Module, torch.compile(self.forward))
        self.average = WeightAverage(self.network, recipe.ema)
        self.optimiser = create_optimiser(self.network, recipe)
        self.scaler = torch.amp.GradScaler(batches.device.type, enabled=numerics.float16)
        self.loss_of = LOSSES[recipe.loss]
        self.step = 0  # optimiser steps done
        self.best_dice = -1.0  # best macro validation Dice so far
        self.stale = 0  # validations since then
        self.lr_scale = 1.0  # what plateaus have left of the learning rate
        self.forget()

    @property
    def ending(self) -> str:
        """Why the run is over; empty as long as it is not."""
        if self.step >= self.recipe.steps:
            return f"all {self.step} steps done"
        if 0 < self.recipe.patience <= self.stale:
            return f"ended at step {self.step}: {self.stale} validations without a better one"
        return ""

    def advance(self) -> None:
        """One optimiser step on the next batch; does not wait for the device.

        Raises RtpolypError where `torch.compile` cannot compile the network.
        """
        images, target = (self.world.share(part) for part in self.batches.draw(self.step))
        self.learning_rate = set_learning_rate(self.optimiser, self.step, self.recipe, self.lr_scale)
        soft = self._soft_masks(images, target) if self.teachers else None
        images = self.numerics.place(normalise(images, self.encoder.mean, self.encoder.std))
        self.optimiser.zero_grad()
        with _compilation(self.compiles):
            with self.numerics.autocast(images.device):
                heads = self.forward(images)
            loss = total(self.loss_of(head.float(), target) for head in heads)
            if soft is not None:
                taught = total(distilled_loss(head.float(), soft) for head in heads)
                loss = torch.lerp(loss, taught, self.recipe.distil)
            self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimiser)
        self.norms.append(clip_gradients(self.network.parameters(), self.recipe))
        self.losses.append(loss.detach())
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.step += 1
        self.average.update(self.step)

    def _soft_masks(self, images: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        with self.numerics.autocast(images.device):
            return soft_masks(self.teachers, self.numerics.place(images), target)

    @property
    def validates(self) -> bool:
        """Whether the averaged weights are due for a validation after this step."""
        return self.step == self.recipe.steps or self.step % self.recipe.validate_every == 0

    def judge(self, dice: float) -> None:
        """Take in a validation's macro Dice: the best so far, or one more without a better one."""
        if dice > self.best_dice:
            self.best_dice, self.stale = dice, 0
            return
        self.stale += 1
        if self.recipe.plateau_patience and self.stale % self.recipe.plateau_patience == 0:
            self.lr_scale *= self.recipe.plateau_factor

    def means(self) -> dict[str, float]:
        """Figures over the steps since `forget` and over all processes, by name; waits for the device.

        Raises RtpolypError that names the first batch whose loss or gradient is not finite. Whoever saves
        weights looks here first: one such gradient spoils them all. Under float16 gradients overflow now and
        then, and the scaler leaves such a step out; they are broken when they do at any scale.
        """
        losses, norms = self.world.mean(torch.stack([torch.stack(self.losses), torch.stack(self.norms)]))
        broken = ~losses.isfinite()
        if not self.scaler.is_enabled() or self.scaler.get_scale() < 1:
            broken |= ~norms.isfinite()
        if broken.any():
            first = int(broken.nonzero()[0])
            step = self.step - len(losses) + first  # 0-based
            raise RtpolypError(
                f"step {step + 1}: loss {losses[first]:g} with a gradient norm of {norms[first]:g}. "
                f"Lower the learning rates or check: {', '.join(self.batches.names(step))}"
            )
        return {
            "loss": losses.mean().item(),
            "norm": norms[norms.isfinite()].mean().item(),
            "lr": self.learning_rate,
            "size": self.batches.size,
            "s/step": (time.monotonic() - self.since) / len(losses),
        }

    def forget(self) -> None:
        """Begin the next means here and now."""
        self.losses: list[torch.Tensor] = []
        self.norms: list[torch.Tensor] = []
        self.since = time.monotonic()

    def checkpoint(self, *, resumable: bool) -> Checkpoint:
        """This moment, with the weights that the optimiser moves and its moments where it is to be resumed.

        Its tensors are the trainer's own: save it before the next step.
        """
        return Checkpoint(
            spec=self.spec,
            recipe=self.recipe,
            numerics=self.numerics,
            step=self.step,
            ema=self.average.network.state_dict(),
            mean=tuple(self.encoder.mean),
            std=tuple(self.encoder.std),
            files=self.batches.frames.files,
            earlier=self.lineage.earlier,
            lessons=self.lineage.lessons,
            data=self.batches.frames.places,
            best_dice=self.best_dice,
            stale=self.stale,
            lr_scale=self.lr_scale,
            model=self.network.state_dict() if resumable else None,
            optimiser=self.optimiser.state_dict() if resumable else None,
            scaler=self.scaler.state_dict() if resumable else None,
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a resumable checkpoint of the same spec, recipe, numerics and files.

        Its recipe may have had fewer steps; then patience begins anew.
        """
        if checkpoint.model is None or checkpoint.optimiser is None or checkpoint.scaler is None:
            raise ValueError("the checkpoint is not resumable")
        self.network.load_state_dict(checkpoint.model)
        self.average.network.load_state_dict(checkpoint.ema)
        self.optimiser.load_state_dict(checkpoint.optimiser)
        self.scaler.load_state_dict(checkpoint.scaler)
        self.lineage = replace(self.lineage, earlier=checkpoint.earlier)
        self.step = checkpoint.step
        self.best_dice = checkpoint.best_dice
        self.stale = checkpoint.stale if checkpoint.recipe.steps == self.recipe.steps else 0
        self.lr_scale = checkpoint.lr_scale


@contextmanager
def _compilation(compiles: bool) -> Iterator[None]:
    """Within it, a failure of torch.compile, which compiles when it must, is an error of one line."""
    try:
        yield
    except RuntimeError as exc:
        if not compiles or not isinstance(exc, torch._dynamo.exc.TorchDynamoException):
            raise
        raise RtpolypError(
            f"torch.compile: {str(exc).splitlines()[0]}. Install what it needs, or leave --compile out"
        ) from exc
