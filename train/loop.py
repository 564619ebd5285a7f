"""The training loop: `fit` takes a network to its best averaged weights and can be cut off at any step.

All randomness of a step – frames, crops, colours – comes from (seed, step) alone. So resuming needs no state
of random generators, ends in the same weights as an uninterrupted run, and any batch can be drawn again.
"""

import logging
import math
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from rtpolyp.errors import InputError, OutputError, RtpolypError
from train.augment import augment, normalise
from train.checkpoint import Checkpoint, load_checkpoint, load_network, save_checkpoint
from train.data import Frames, Source, load_frames, resized
from train.journal import Journal
from train.losses import LOSSES
from train.networks import NetworkSpec, create_network
from train.optimisation import WeightAverage, create_optimiser, fastest_numerics, set_learning_rate
from train.recipe import Recipe
from train.sampling import Sampler
from train.validate import validate

__all__ = ["fit"]

log = logging.getLogger(__name__)

MARGIN = 1.15  # side of the frames in memory against the training size: a zoomed-in crop stays sharp
REPORT_EVERY = 20  # steps between looks at the loss; each waits for the device


def fit(
    spec: NetworkSpec,
    recipe: Recipe,
    sources: Sequence[Source],
    folder: Path,
    *,
    pretrained: bool | Path = True,
    resume: bool = False,
    save_minutes: float = 5.0,
    device: str = "cpu",
) -> Path:
    """Train on the sources' train parts, choose on their val parts, and return the path of `best.pt`.

    `folder` receives `last.pt` (every `save_minutes`, on SIGINT and SIGTERM, at the end), `best.pt` (averaged
    weights with the best macro Dice), `train.csv`, `val.csv` and TensorBoard events. With `resume` a run that
    `folder` holds goes on; its recipe, network and files must be the same.

    Raises InputError for unusable data and for a run folder that does not fit, OutputError where the folder
    cannot be written, RtpolypError when the loss stops being finite.
    """
    last, best = folder / "last.pt", folder / "best.pt"
    resumed = _find_run(last, spec, recipe, resume)
    torch.manual_seed(recipe.seed)
    network = create_network(spec, pretrained=False if resumed else pretrained).to(device)
    final_side = recipe.sizes[-1][0]
    kept = load_frames(sources, "train", math.ceil(MARGIN * max(side for side, _ in recipe.sizes)))
    held_out = load_frames(sources, "val", final_side)
    _check_disjoint(kept, held_out)
    log.info("%d training and %d validation frames", len(kept), len(held_out))
    if resumed and resumed.files != kept.files:
        raise InputError(f"{last}: was trained on other files. Give the same --data, or another -o")

    numerics = resumed.numerics if resumed else fastest_numerics(network, recipe, torch.device(device))
    log.info("training with %s", numerics)
    network = numerics.place(network).train()
    average = WeightAverage(network, recipe.ema)
    optimiser = create_optimiser(network, recipe)
    state = Checkpoint(
        spec, recipe, numerics, 0, average.network.state_dict(),
        tuple(network.encoder.mean), tuple(network.encoder.std), kept.files, best_dice=-1.0,
    )  # fmt: skip
    if resumed:
        network.load_state_dict(resumed.model)
        average.network.load_state_dict(resumed.ema)
        optimiser.load_state_dict(resumed.optimiser)
        state = replace(state, step=resumed.step, best_dice=resumed.best_dice)

    def save(step: int) -> None:
        model, moments = network.state_dict(), optimiser.state_dict()
        save_checkpoint(last, replace(state, step=step, model=model, optimiser=moments))

    batches = _batches(kept, recipe, state.step, torch.device(device))
    loss_of = LOSSES[recipe.loss]
    step = state.step
    losses: list[torch.Tensor] = []
    norms: list[torch.Tensor] = []
    reported, saved = time.monotonic(), time.monotonic()
    with _stop_signals() as stopped, Journal(folder, state.step, recipe.steps) as journal:
        for step, (images, target) in enumerate(batches, start=state.step + 1):
            rate = set_learning_rate(optimiser, step - 1, recipe)
            images = numerics.place(normalise(images, state.mean, state.std))
            with numerics.autocast(images.device):
                heads = network(images)
            loss = sum(loss_of(head.float(), target) for head in heads)
            optimiser.zero_grad()
            loss.backward()
            norms.append(torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip))
            losses.append(loss.detach())
            optimiser.step()
            average.update(step)

            is_last = step == recipe.steps or bool(stopped)
            is_validation = step % recipe.validate_every == 0 or step == recipe.steps
            is_save = is_last or time.monotonic() - saved > 60 * save_minutes
            if step % REPORT_EVERY == 0 or is_validation or is_save:
                _check_finite(losses, step, kept, recipe, last)
                values = {
                    "loss": torch.stack(losses).mean().item(),
                    "norm": torch.stack(norms).mean().item(),
                    "lr": rate,
                    "size": images.shape[-1],
                    "s/step": (time.monotonic() - reported) / len(losses),
                }
                journal.train_step(step, values)
                losses, norms = [], []
                reported = time.monotonic()
            if is_validation:
                result = validate(average.network, held_out, recipe.batch, torch.device(device))
                is_best = result.macro_dice > state.best_dice
                if is_best:
                    state = replace(state, best_dice=result.macro_dice)
                    save_checkpoint(best, replace(state, step=step))
                journal.validation(step, result, is_best)
                reported = time.monotonic()
            if is_save:
                save(step)
                saved = reported = time.monotonic()
            if is_last and step < recipe.steps:
                journal.say(f"stopped by signal at step {step}; {last} is saved, --resume goes on")
                break
        if step == recipe.steps:
            chosen = load_checkpoint(best)
            network = numerics.place(load_network(chosen)).to(device)
            journal.summary(chosen.step, validate(network, held_out, recipe.batch, torch.device(device)))
    return best


def _generator(recipe: Recipe, step: int) -> torch.Generator:
    """The source of everything random in one step (0-based)."""
    seed = np.random.SeedSequence((recipe.seed, step)).generate_state(1)[0]
    return torch.Generator().manual_seed(int(seed))


def _batches(
    kept: Frames, recipe: Recipe, first: int, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Augmented images (N, 3, S, S) in 0–255 and masks (N, 1, S, S) from step `first` (0-based) on."""
    sampler = Sampler(kept, recipe)
    size = 0
    for step in range(first, recipe.steps):
        if recipe.size_at(step) != size:
            size = recipe.size_at(step)
            frames = resized(kept, math.ceil(MARGIN * size))
            images = torch.from_numpy(frames.images).to(device)
            masks = torch.from_numpy(frames.masks).to(device)
        generator = _generator(recipe, step)
        yield augment(images, masks, sampler.draw(generator), size, recipe, generator)


def _check_finite(losses: list[torch.Tensor], step: int, kept: Frames, recipe: Recipe, last: Path) -> None:
    """Raise RtpolypError that names the first batch with a loss that is no number."""
    broken = (~torch.isfinite(torch.stack(losses))).nonzero()
    if not len(broken):
        return
    culprit = step - len(losses) + int(broken[0])  # 0-based
    frames = Sampler(kept, recipe).draw(_generator(recipe, culprit)).frames
    names = ", ".join(kept.files[index].name for index in frames)
    good = f"{last} holds the last good weights" if last.is_file() else "nothing was saved yet"
    raise RtpolypError(
        f"step {culprit + 1}: the loss is not finite; {good}. Lower the learning rates or check: {names}"
    )


def _check_disjoint(kept: Frames, held_out: Frames) -> None:
    """Raise InputError if a validation image is, byte for byte, also a training image."""
    seen = {file.sha256 for file in kept.files}
    leaked = [f"{file.source}/{file.name}" for file in held_out.files if file.sha256 in seen]
    if leaked:
        raise InputError(
            f"{leaked[0]}: {len(leaked)} validation images are trained on too. Choose other splits"
        )


def _find_run(last: Path, spec: NetworkSpec, recipe: Recipe, resume: bool) -> Checkpoint | None:
    """The run to go on with, if any; makes the folder."""
    try:
        last.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{last.parent}: cannot be made ({exc.strerror}). Choose another -o") from exc
    if not last.is_file():
        return None
    if not resume:
        raise InputError(f"{last.parent}: already holds a run. Add --resume to go on, or choose another -o")
    found = load_checkpoint(last)
    stored = {**asdict(found.spec), **asdict(found.recipe)}
    given = {**asdict(spec), **asdict(recipe)}
    changed = [f"{name} {stored[name]} → {given[name]}" for name in stored if stored[name] != given[name]]
    if changed:
        raise InputError(
            f"{last}: this run has other settings: {', '.join(changed)}. Give the same, or another -o"
        )
    return found


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Within it, SIGINT and SIGTERM are noted in the list instead of ending the process."""
    noted: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: noted.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
