"""The training loop: `fit` takes a network to its best averaged weights and can be cut off at any step."""

import hashlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, cast

import torch
from torch import nn

from rtpolyp.errors import InputError, OutputError, RtpolypError
from rtpolyp.spec import sha256_of
from train.batches import MARGIN, Batches
from train.checkpoint import Checkpoint, load_checkpoint, load_network, save_checkpoint
from train.data import Frames, Source, load_frames
from train.distributed import join_world
from train.hard_crops import HardCrop, read_hard_crops
from train.initial import begin_with, load_initial
from train.journal import Journal
from train.leaks import check_groups, check_unseen
from train.networks import NetworkSpec, create_network
from train.optimisation import Numerics, fastest_numerics
from train.recipe import Recipe
from train.stop_signals import stop_signals
from train.trainer import Lineage, Trainer
from train.validate import Validation, validate

__all__ = ["Options", "fit"]

log = logging.getLogger(__name__)

Loader = Callable[..., Frames]  # called as train.data.load_frames is

REPORT_EVERY = 20  # steps between looks at the loss; each waits for the device


@dataclass(frozen=True)
class Options:
    """How a run begins, what it learns from beside its data, and where and how it computes."""

    pretrained: bool | Path | Literal["imagenet"] = True  # the encoder, see `create_network`
    init: str | None = None  # bundle or checkpoint to begin with, see `train.initial`
    initialise: Callable[[nn.Module], None] | None = None  # changes new weights in place, before `init`
    teachers: Sequence[str] = ()  # bundles or checkpoints of the same kind
    hard_crops: Path | None = None  # a list that `train.generalise mine` wrote
    load: Loader = load_frames  # decodes a part of the sources
    resume: bool = False  # go on with the run that the folder holds
    save_minutes: float = 5.0  # between checkpoints
    device: str = "cpu"
    precision: str | None = None  # float32, bfloat16 or float16; None: the fastest
    numerics: Numerics | None = None  # None: measured, within `precision`
    agree: Callable[[Numerics], Numerics] = lambda measured: measured  # takes a measurement, gives what holds
    compiles: bool = False  # run the network through `torch.compile`


def fit(
    spec: NetworkSpec,
    recipe: Recipe,
    sources: Sequence[Source],
    folder: Path,
    options: Options = Options(),
) -> Path:
    """Train on the sources' train parts, choose on their val parts, and return the path of `best.pt`.

    `folder` receives `last.pt` (every `save_minutes`, on SIGINT and SIGTERM, at the end), `best.pt` (averaged
    weights with the best macro Dice), `train.csv`, `val.csv` and TensorBoard events. A run that is resumed
    must have the same recipe, network, teachers and files, except that the recipe may have more steps; it has
    begun, so it looks at neither `init`, which a new one validates as step 0, nor `initialise`, and keeps its
    own numerics.

    In processes that `torchrun` has started, each calls this alike and takes an equal share of every batch.

    Raises InputError for unusable data and for a run folder that does not fit, OutputError where the folder
    cannot be written, RtpolypError when the loss stops being finite or the network cannot be compiled, and
    KeyboardInterrupt after a signal, when everything is saved.
    """
    world = join_world()
    where = world.device(options.device)
    recipe = recipe.for_frames(sum(len(source.pairs("train")) for source in sources))
    share = replace(recipe, batch=world.images(recipe.batch))
    resumed = world.agree(world.on_first(_find_run, folder, spec, recipe, options.precision, options.resume))
    torch.manual_seed(recipe.seed)
    initial = load_initial(options.init) if options.init and not resumed else None
    network = _create(spec, options, initial, resumed is not None).to(where)
    if initial:
        check_unseen(sources, initial.seen, f"what --init {options.init} begins with")
        begin_with(network, spec, initial)
    taught_by = [load_initial(text) for text in options.teachers]
    for text, teacher in zip(options.teachers, taught_by, strict=True):
        check_unseen(sources, teacher.seen, f"the teacher {text}")
    kept, held_out = _load_data(sources, recipe, options.load)
    hard = _read_hard_crops(options.hard_crops, recipe)
    lessons = (*map(_digest, taught_by), *(sha256_of(file) for file in [options.hard_crops] if file))
    if resumed:
        _check_same(resumed, folder, lessons, kept)
    known = resumed.numerics if resumed else options.numerics
    measured = None if known else world.on_first(_measure, network, share, where, options)
    numerics = known or cast(Numerics, world.agree(measured))
    log.info("training with %s", numerics)
    batches = Batches(kept, recipe, where, hard)
    before = [initial, *taught_by] if initial else taught_by
    earlier = tuple(dict.fromkeys(file for checkpoint in before for file in checkpoint.seen))
    teachers = [load_network(teacher).to(where).requires_grad_(False) for teacher in taught_by]
    lineage = Lineage(earlier, teachers, lessons)
    trainer = Trainer(network, spec, numerics, batches, lineage, world, options.compiles)
    if resumed:
        trainer.restore(resumed)
    run = _Run(trainer, held_out, folder)
    with stop_signals() as signals, run.journal or nullcontext():
        if initial:
            world.on_first(run.start)
        run.train(signals, options.save_minutes)
        run.end(signals)
    return run.best


class _Run:
    """A trainer, the frames that judge it, and where it is written down."""

    def __init__(self, trainer: Trainer, held_out: Frames, folder: Path):
        self.trainer = trainer
        self.held_out = held_out
        self.last, self.best = folder / "last.pt", folder / "best.pt"
        # only the first process has one, and only that one writes
        self.journal = trainer.world.on_first(Journal, folder, trainer.step, trainer.recipe.steps)

    def train(self, signals: Sequence[int], save_minutes: float) -> None:
        """Step until the run ends or a signal has come.

        All processes decide the same things; the first alone validates and writes.
        """
        trainer, world = self.trainer, self.trainer.world
        saved = time.monotonic()
        while not trainer.ending:
            trainer.advance()
            validates = trainer.validates
            reports = validates or trainer.step % REPORT_EVERY == 0
            if world.size > 1 and not reports:
                continue  # signals and clocks differ: they are agreed on at steps that all know beforehand
            is_stopped = world.any(bool(signals))
            is_due = world.any(time.monotonic() - saved > 60 * save_minutes)
            if not (reports or is_stopped or is_due):
                continue
            means = self._means()
            result = world.agree(world.on_first(self._score, trainer.average.network)) if validates else None
            if result:
                trainer.judge(result.macro_dice)
            saves = is_stopped or is_due or bool(trainer.ending)
            world.on_first(self._record, means, result, saves)
            if saves:
                saved = time.monotonic()
            if is_stopped and not trainer.ending:
                if self.journal:
                    self.journal.say(
                        f"stopped by signal at step {trainer.step}; {self.last} is saved, --resume goes on"
                    )
                raise KeyboardInterrupt
            trainer.forget()  # only now: validating and saving is no part of a step's time

    def start(self) -> None:
        """Score the weights of `--init`, so that what training gains or loses is seen."""
        if self.journal:
            self.journal.start(self._score(self.trainer.average.network))

    def end(self, signals: Sequence[int]) -> None:
        """Summarise, and raise KeyboardInterrupt for a signal that has come after the last step."""
        world = self.trainer.world
        world.on_first(self.summarise)
        if world.any(bool(signals)):
            raise KeyboardInterrupt

    def summarise(self) -> None:
        """Score the best weights once more, and tell them and why the run ended."""
        chosen = load_checkpoint(self.best)
        network = self.trainer.numerics.place(load_network(chosen)).to(self.trainer.batches.device)
        if self.journal:
            self.journal.summary(self.trainer.ending, chosen.step, self._score(network))

    def _score(self, network: nn.Module) -> Validation:
        return validate(network, self.held_out, self.trainer.recipe.batch, self.trainer.batches.device)

    def _record(self, means: dict[str, float], result: Validation | None, saves: bool) -> None:
        trainer, journal = self.trainer, self.journal
        if journal is None:
            return
        journal.train_step(trainer.step, means)
        if result:
            if not trainer.stale:
                save_checkpoint(self.best, trainer.checkpoint(resumable=False))
            journal.validation(trainer.step, result, trainer.stale, trainer.lr_scale)
        if saves:
            save_checkpoint(self.last, trainer.checkpoint(resumable=True))

    def _means(self) -> dict[str, float]:
        """The trainer's, or its error with what is left to go on from."""
        try:
            return self.trainer.means()
        except RtpolypError as exc:
            is_saved = self.trainer.world.agree(self.last.is_file())
            good = f"{self.last} holds the last good weights" if is_saved else "nothing was saved yet"
            raise RtpolypError(f"{exc}; {good}") from exc


def _find_run(
    folder: Path, spec: NetworkSpec, recipe: Recipe, precision: str | None, resume: bool
) -> Checkpoint | None:
    """The run to go on with, if any; makes the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{folder}: cannot be made ({exc.strerror}). Choose another -o") from exc
    last = folder / "last.pt"
    if not last.is_file():
        return None
    if not resume:
        raise InputError(f"{folder}: already holds a run. Add --resume to go on, or choose another -o")
    found = load_checkpoint(last)
    stored = {**asdict(found.spec), **asdict(found.recipe), "precision": found.numerics.precision}
    given = {**asdict(spec), **asdict(recipe), "precision": precision or found.numerics.precision}
    changed = [name for name in stored if stored[name] != given[name]]
    if changed == ["steps"] and recipe.steps > found.recipe.steps:
        log.info("the run of %d steps is extended to %d", found.recipe.steps, recipe.steps)
    elif changed:
        listed = ", ".join(f"{name} {stored[name]} → {given[name]}" for name in changed)
        raise InputError(
            f"{last}: this run has other settings: {listed}. Give the same (steps may grow), or another -o"
        )
    return found


def _create(spec: NetworkSpec, options: Options, initial: Checkpoint | None, resumed: bool) -> nn.Module:
    """The network as it begins, but for what `init` brings."""
    pretrained = options.pretrained
    if resumed or (initial and initial.spec.encoder == spec.encoder):  # a deeper one is partly ImageNet's
        pretrained = False
    network = create_network(spec, pretrained=pretrained)
    if options.initialise and not resumed:
        options.initialise(network)
    return network


def _measure(network: nn.Module, recipe: Recipe, where: torch.device, options: Options) -> Numerics:
    return options.agree(fastest_numerics(network, recipe, where, options.precision))


def _read_hard_crops(file: Path | None, recipe: Recipe) -> Sequence[HardCrop]:
    if file and recipe.picture_crop:
        raise InputError(f"{file}: lists parts of whole frames. Leave picture_crop or the list out")
    return read_hard_crops(file) if file else ()


def _check_same(resumed: Checkpoint, folder: Path, lessons: tuple[str, ...], kept: Frames) -> None:
    """Refuse to go on with other teachers, hard crops or files."""
    if resumed.lessons != lessons:
        raise InputError(
            f"{folder}: was trained with other teachers or hard crops. Give the same, or another -o"
        )
    if resumed.files != kept.files:
        raise InputError(f"{folder}: was trained on other files. Give the same --data, or another -o")


def _digest(checkpoint: Checkpoint) -> str:
    """SHA-256 of the averaged weights."""
    digest = hashlib.sha256()
    for name, tensor in checkpoint.ema.items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def _load_data(sources: Sequence[Source], recipe: Recipe, load: Loader) -> tuple[Frames, Frames]:
    """Training frames, with a margin for crops, and validation frames at the final size.

    Raises InputError for parts without any polyp and for a validation or test image that is trained on.
    """
    check_groups(sources)
    crop = recipe.picture_crop
    side = math.ceil(MARGIN * max(side for side, _ in recipe.sizes))
    kept = load(sources, "train", side, picture_crop=crop)
    held_out = load(sources, "val", recipe.final_size, picture_crop=crop)
    for part, frames in (("train", kept), ("val", held_out)):
        if not frames.masks.any():
            raise InputError(
                f"{', '.join(frames.sources)}: no polyp in the {part} part. Masks hold 255 where a polyp is; "
                "give polyp-free frames beside --data that shows polyps"
            )
    check_unseen(sources, kept.files, "this run")
    log.info("%d training and %d validation frames", len(kept), len(held_out))
    return kept, held_out
