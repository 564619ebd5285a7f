"""Does a network gain more from suggested frames than from as many random ones? On a hospital left out.

python scripts/score_suggestions.py [--data ../shared/data] [-o docs/results/suggestions.json]

Two networks are trained on all public hospitals but that of CVC-612. Of its 29 sequences every third one
tests, and the others are the hospital's archive, one video a sequence; that is done three times, so that
each tests once. `rtpolyp suggest` chooses 100 frames of the archive, and for each seed as many are drawn at
random. Both get their true masks, as if somebody had corrected those that were proposed, and the first
network is fine-tuned on each, with one recipe. The averaged weights of the last step are scored at 0.5. What
is finished is kept in runs/suggestions, and the same command goes on.
"""

import csv
import random
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from cyclopts import Parameter
from numpy.typing import NDArray

from rtpolyp.inference.processor import this_processor
from rtpolyp.measure.dataset import Pair
from rtpolyp.measure.evaluation import evaluate_engine
from rtpolyp.measure.figure_files import write_json
from rtpolyp.suggest import suggest_frames
from rtpolyp.suggest.survey import Networks
from rtpolyp.terminal.command_line import make_app, run_app
from scripts.suggestions.archive import FOLDS, FoldFrames, as_fine_tuning_set, as_video, fold_frames
from scripts.suggestions.networks import LEFT_OUT, NETWORKS, at_operating_point, fine_tuned, train_base
from train.checkpoint import load_checkpoint
from train.experiment.files import read_json, replace_file
from train.experiment.torch_engine import engine_of
from train.generalise.hospitals import Fold, fold_of
from train.table.gains import Pairs, gain_of

COUNT, SEEDS = 100, (0, 1, 2)
ARMS = ("suggested", "random")
VAL = 10  # frames that `fit` asks for; they decide nothing
SCHEMA = 1
RUNS = Path("runs/suggestions")

app = make_app("python scripts/score_suggestions.py", __doc__, help_format="plaintext")


def suggested(frames: FoldFrames, networks: Networks, folder: Path) -> tuple[list[Pair], dict[str, int]]:
    """What `rtpolyp suggest` chooses of the archive, and for which reasons; chosen once."""
    if not folder.is_dir():
        videos = {folder.with_name(f"{folder.name}-videos") / f"{name}.mkv": name for name in frames.archive}
        for video, name in videos.items():
            as_video(frames.archive[name], video)
        quiet = nullcontext(lambda done, of: None)
        suggest_frames([str(one) for one in videos], folder, networks, count=COUNT, follow=lambda name: quiet)
    with (folder / "suggested.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    reasons: dict[str, int] = {}
    for row in rows:
        for reason in row["reasons"].split():
            reasons[reason] = reasons.get(reason, 0) + 1
    return [frames.archive[Path(row["video"]).stem][int(row["frame"])] for row in rows], reasons


def dice_of(checkpoint: Path, test: list[Pair], file: Path) -> dict[str, float]:
    """Dice at 0.5 of each test frame, by name; scored once."""
    if not file.is_file():
        with engine_of(load_checkpoint(checkpoint), "cpu") as engine:
            scores = evaluate_engine(engine, test, include_seen=True).with_polyp
        content = {"schema": SCHEMA, "dice": {one.pair.name: round(one.half.dice, 5) for one in scores}}
        replace_file(file, partial(write_json, content))
    dice: dict[str, float] = read_json(file, SCHEMA, "the scores of a network")["dice"]
    return dice


def run_fold(number: int, data: Path, networks: Networks, first: Path) -> dict[str, Any]:
    """Dice of every test frame of a fold: before, and by arm and seed after fine-tuning."""
    frames, folder = fold_frames(data / LEFT_OUT, number), RUNS / f"fold{number}"
    chosen, reasons = suggested(frames, networks, folder / "suggest")
    pool = [pair for sequence in frames.archive.values() for pair in sequence]
    dice: dict[str, Any] = {"before": dice_of(first, frames.test, folder / "before.json")}
    for seed in SEEDS:
        drawn = random.Random(seed).sample(pool, len(chosen))
        for arm, labelled in zip(ARMS, (chosen, drawn), strict=True):
            where = folder / f"{arm}-{seed}"
            scores, checkpoint = where / "scores.json", where / "run" / "last.pt"
            if not scores.is_file():
                others = [pair for pair in pool if pair not in labelled][:VAL]
                source = as_fine_tuning_set(labelled, others, (where / "frames").resolve())
                checkpoint = fine_tuned(first, source, seed, where / "run")
            dice[f"{arm}-{seed}"] = dice_of(checkpoint, frames.test, scores)
    return {
        "archive": len(pool),
        "sequences": len(frames.archive),
        "labelled": len(chosen),
        "reasons": reasons,
        "dice": dice,
        "groups": {pair.name: pair.group for pair in frames.test},
    }


def summary(folds: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over all test frames, and gains with their 95 % intervals: seeds and sequences drawn again."""
    groups = {name: group for fold in folds for name, group in fold["groups"].items()}
    names = tuple(sorted(groups))

    def values(key: str) -> NDArray[np.float64]:
        of = {name: value for fold in folds for name, value in fold["dice"][key].items()}
        return np.array([of[name] for name in names])

    before = values("before")
    arms = {arm: np.stack([values(f"{arm}-{seed}") for seed in SEEDS]) for arm in ARMS}

    def gain(differences: NDArray[np.float64]) -> dict[str, Any]:
        found = gain_of(Pairs(SEEDS, names, tuple(groups[name] for name in names), differences))
        assert found.interval is not None  # 29 sequences
        by_seed = [round(one, 4) for one in found.by_seed.values()]
        interval = [round(found.interval.low, 4), round(found.interval.high, 4)]
        return {"mean": round(found.mean, 4), "interval 95 %": interval, "by seed": by_seed}

    return {
        "frames": len(names),
        "dice": {"before": round(float(before.mean()), 4)}
        | {arm: round(float(of.mean()), 4) for arm, of in arms.items()},
        "gain of suggested over random": gain(arms["suggested"] - arms["random"]),
        "gain of suggested over before": gain(arms["suggested"] - before),
        "gain of random over before": gain(arms["random"] - before),
    }


@app.default
def main(
    *,
    data: Path = Path("../shared/data"),
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("docs/results/suggestions.json"),
) -> None:
    """Train, choose, fine-tune, score and write the figures."""
    torch.set_num_threads(1)
    fold: Fold = fold_of(LEFT_OUT, data)
    bases = {which: train_base(which, fold, data, RUNS / which) for which in NETWORKS}
    opened = [at_operating_point(which, file, fold) for which, file in bases.items()]
    with opened[0] as one, opened[1] as other:
        folds = [run_fold(number, data, Networks(one, other), bases["first"]) for number in range(FOLDS)]
    kept = ("archive", "sequences", "labelled", "reasons")
    content = {
        "schema": SCHEMA,
        "command": "python scripts/score_suggestions.py",
        "processor": this_processor().name,
        "torch": torch.__version__,
        **summary(folds),
        "folds": [{key: fold[key] for key in kept} for fold in folds],
    }
    write_json(content, out)


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
