"""Trainer: all that an optimiser step changes, how to save it and how to go on from what was saved."""

import time

import torch
from torch import nn

from rtpolyp.errors import RtpolypError
from train.augment import normalise
from train.batches import Batches
from train.checkpoint import Checkpoint
from train.data import TrainingFile
from train.losses import LOSSES
from train.networks import NetworkSpec
from train.optimisation import Numerics, WeightAverage, clip_gradients, create_optimiser, set_learning_rate
from train.recipe import Recipe

__all__ = ["Trainer"]


class Trainer:
    """A network on its way: `advance` does one step, `means` tells about the steps since the last look.

    `network` lies on the device of `batches`.
    """

    def __init__(
        self,
        network: nn.Module,
        spec: NetworkSpec,
        recipe: Recipe,
        numerics: Numerics,
        batches: Batches,
        earlier: tuple[TrainingFile, ...] = (),
    ):
        self.network = numerics.place(network).train()
        self.spec = spec
        self.recipe = recipe
        self.numerics = numerics
        self.batches = batches
        self.earlier = earlier  # what the network's initial weights were trained on
        self.average = WeightAverage(self.network, recipe.ema)
        self.optimiser = create_optimiser(self.network, recipe)
        self.loss_of = LOSSES[recipe.loss]
        self.step = 0  # optimiser steps done
        self.best_dice = -1.0  # best macro validation Dice so far
        self.forget()

    def advance(self) -> None:
        """One optimiser step on the next batch; does not wait for the device."""
        images, target = self.batches.draw(self.step)
        self.learning_rate = set_learning_rate(self.optimiser, self.step, self.recipe)
        images = self.numerics.place(normalise(images, self.network.encoder.mean, self.network.encoder.std))
        with self.numerics.autocast(images.device):
            heads = self.network(images)
        loss = sum(self.loss_of(head.float(), target) for head in heads)
        self.optimiser.zero_grad()
        loss.backward()
        self.norms.append(clip_gradients(self.network.parameters(), self.recipe))
        self.losses.append(loss.detach())
        self.optimiser.step()
        self.step += 1
        self.average.update(self.step)

    def means(self) -> dict[str, float]:
        """Figures over the steps since `forget`, by name; waits for the device.

        Raises RtpolypError that names the first batch whose loss or gradient is not finite. Whoever saves
        weights looks here first: one such gradient spoils them all.
        """
        losses, norms = torch.stack(self.losses), torch.stack(self.norms)
        broken = (~(losses + norms).isfinite()).nonzero()
        if len(broken):
            step = self.step - len(losses) + int(broken[0])  # 0-based
            raise RtpolypError(
                f"step {step + 1}: loss {losses[broken[0]].item():g} with a gradient norm of "
                f"{norms[broken[0]].item():g}. Lower the learning rates or check: "
                f"{', '.join(self.batches.names(step))}"
            )
        return {
            "loss": losses.mean().item(),
            "norm": norms.mean().item(),
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
            mean=tuple(self.network.encoder.mean),
            std=tuple(self.network.encoder.std),
            files=self.batches.frames.files,
            earlier=self.earlier,
            best_dice=self.best_dice,
            model=self.network.state_dict() if resumable else None,
            optimiser=self.optimiser.state_dict() if resumable else None,
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a resumable checkpoint of the same spec, recipe, numerics and files."""
        self.network.load_state_dict(checkpoint.model)
        self.average.network.load_state_dict(checkpoint.ema)
        self.optimiser.load_state_dict(checkpoint.optimiser)
        self.earlier = checkpoint.earlier
        self.step = checkpoint.step
        self.best_dice = checkpoint.best_dice
