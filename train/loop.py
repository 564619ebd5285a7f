"""The training loop: `fit` takes a network to its best averaged weights and can be cut off at any step."""

import logging
import math
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from rtpolyp.errors import InputError, OutputError, RtpolypError
from train.batches import MARGIN, Batches
from train.checkpoint import Checkpoint, load_checkpoint, load_network, save_checkpoint
from train.data import Frames, Source, load_frames
from train.initial import begin_with, load_initial
from train.journal import Journal
from train.leaks import check_unseen
from train.networks import NetworkSpec, create_network
from train.optimisation import Numerics, fastest_numerics
from train.recipe import Recipe
from train.trainer import Trainer
from train.validate import validate

__all__ = ["fit"]

log = logging.getLogger(__name__)

REPORT_EVERY = 20  # steps between looks at the loss; each waits for the device


def fit(
    spec: NetworkSpec,
    recipe: Recipe,
    sources: Sequence[Source],
    folder: Path,
    *,
    pretrained: bool | Path = True,
    init: str | None = None,
    resume: bool = False,
    save_minutes: float = 5.0,
    device: str = "cpu",
    numerics: Numerics | None = None,
) -> Path:
    """Train on the sources' train parts, choose on their val parts, and return the path of `best.pt`.

    `folder` receives `last.pt` (every `save_minutes`, on SIGINT and SIGTERM, at the end), `best.pt` (averaged
    weights with the best macro Dice), `train.csv`, `val.csv` and TensorBoard events. With `resume` a run that
    `folder` holds goes on; its recipe, network and files must be the same. `numerics` are measured unless
    given; a resumed run keeps its own. `init` names the bundle or checkpoint to begin with, see
    `train.initial`; a resumed run has begun and does not look at it.

    Raises InputError for unusable data and for a run folder that does not fit, OutputError where the folder
    cannot be written, RtpolypError when the loss stops being finite, and KeyboardInterrupt after a signal,
    when everything is saved.
    """
    last, best = folder / "last.pt", folder / "best.pt"
    where = _checked_device(device)
    recipe = recipe.for_frames(sum(len(source.pairs("train")) for source in sources))
    resumed = _find_run(last, spec, recipe, resume)
    torch.manual_seed(recipe.seed)
    initial = load_initial(init) if init and not resumed else None
    network = create_network(spec, pretrained=False if resumed or initial else pretrained).to(where)
    if initial:
        check_unseen(sources, initial.seen, f"what --init {init} begins with")
        begin_with(network, spec, initial)
    kept, held_out = _load_data(sources, recipe)
    if resumed and resumed.files != kept.files:
        raise InputError(f"{last}: was trained on other files. Give the same --data, or another -o")
    if resumed:
        numerics = resumed.numerics
    numerics = numerics or fastest_numerics(network, recipe, where)
    log.info("training with %s", numerics)
    earlier = initial.seen if initial else ()
    trainer = Trainer(network, spec, recipe, numerics, Batches(kept, recipe, where), earlier)
    if resumed:
        trainer.restore(resumed)

    saved = time.monotonic()
    with _stop_signals() as signals, Journal(folder, trainer.step, recipe.steps) as journal:
        while trainer.step < recipe.steps:
            trainer.advance()
            is_done, is_stopped = trainer.step == recipe.steps, bool(signals)
            validates = is_done or trainer.step % recipe.validate_every == 0
            saves = is_done or is_stopped or time.monotonic() - saved > 60 * save_minutes
            if not (saves or validates or trainer.step % REPORT_EVERY == 0):
                continue
            journal.train_step(trainer.step, _means(trainer, last))
            if validates:
                result = validate(trainer.average.network, held_out, recipe.batch, where)
                is_best = result.macro_dice > trainer.best_dice
                if is_best:
                    trainer.best_dice = result.macro_dice
                    save_checkpoint(best, trainer.checkpoint(resumable=False))
                journal.validation(trainer.step, result, is_best)
            if saves:
                save_checkpoint(last, trainer.checkpoint(resumable=True))
                saved = time.monotonic()
            if is_stopped and not is_done:
                journal.say(f"stopped by signal at step {trainer.step}; {last} is saved, --resume goes on")
                raise KeyboardInterrupt
            trainer.forget()  # only now: validating and saving is no part of a step's time
        chosen = load_checkpoint(best)
        network = numerics.place(load_network(chosen)).to(where)
        journal.summary(chosen.step, validate(network, held_out, recipe.batch, where))
    return best


def _checked_device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as exc:  # the latter from a PyTorch that was built without CUDA
        raise InputError(
            f"device {name!r}: {str(exc).splitlines()[0]}. Give cpu, or cuda where PyTorch finds a GPU"
        ) from exc
    return device


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


def _load_data(sources: Sequence[Source], recipe: Recipe) -> tuple[Frames, Frames]:
    """Training frames, with a margin for crops, and validation frames at the final size.

    Raises InputError for parts without any polyp and for a validation or test image that is trained on.
    """
    kept = load_frames(sources, "train", math.ceil(MARGIN * max(side for side, _ in recipe.sizes)))
    held_out = load_frames(sources, "val", recipe.sizes[-1][0])
    for part, frames in (("train", kept), ("val", held_out)):
        if not frames.masks.any():
            raise InputError(
                f"{', '.join(frames.sources)}: no polyp in the {part} part. Masks hold 255 where a polyp is"
            )
    check_unseen(sources, kept.files, "this run")
    log.info("%d training and %d validation frames", len(kept), len(held_out))
    return kept, held_out


def _means(trainer: Trainer, last: Path) -> dict[str, float]:
    """The trainer's, or its error with what is left to go on from."""
    try:
        return trainer.means()
    except RtpolypError as exc:
        good = f"{last} holds the last good weights" if last.is_file() else "nothing was saved yet"
        raise RtpolypError(f"{exc}; {good}") from exc


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
