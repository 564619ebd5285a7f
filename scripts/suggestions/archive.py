"""The left-out hospital's archive: its sequences as videos, and its frames as data sets to fine-tune on."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from rtpolyp.measure.dataset import Pair, load_pairs
from rtpolyp.measure.evaluation import read_pair
from train.data import Source

__all__ = ["FOLDS", "FoldFrames", "as_fine_tuning_set", "as_video", "fold_frames"]

FOLDS = 3
RATE = 2  # frames a second: `suggest` keeps one frame of each half second, so each is a candidate
OWN = "own"  # the split of a data set to fine-tune on


@dataclass(frozen=True)
class FoldFrames:
    """Of one fold: what labels are to be had for, and what scores; no sequence is in both."""

    archive: dict[str, list[Pair]]  # by sequence, in the order of time
    test: list[Pair]


def fold_frames(folder: Path, fold: int) -> FoldFrames:
    """Every FOLDS-th sequence of CVC-612 tests, from `fold` on."""
    with (folder / "sequences.csv").open(newline="", encoding="utf-8") as stream:
        position = {row["frame"]: int(row["index_in_sequence"]) for row in csv.DictReader(stream)}
    sequences: dict[str, list[Pair]] = {}
    for pair in sorted(load_pairs(folder), key=lambda pair: position[pair.name]):
        sequences.setdefault(pair.group, []).append(pair)
    names = sorted(sequences, key=lambda name: (len(name), name))
    tested = names[fold::FOLDS]
    return FoldFrames(
        {name: frames for name, frames in sequences.items() if name not in tested},
        [pair for name in tested for pair in sequences[name]],
    )


def as_video(frames: Sequence[Pair], file: Path) -> None:
    """The frames of one sequence as a video without loss (FFV1)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with av.open(file, "w") as container:
        stream = container.add_stream("ffv1", rate=RATE)
        stream.pix_fmt = "bgr0"
        images = [read_pair(pair)[0] for pair in frames]
        stream.height, stream.width = images[0].shape[:2]
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "bgr24").reformat(format="bgr0")))
        container.mux(stream.encode())


def as_fine_tuning_set(chosen: Sequence[Pair], others: Sequence[Pair], folder: Path) -> Source:
    """Links to the chosen frames and their true masks; `fit` asks for a val part, and `others` are that."""
    for part in ("images", "masks", "splits"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for pair in (*chosen, *others):
        for part, file in (("images", pair.image), ("masks", pair.mask)):
            link = folder / part / file.name
            if not link.is_symlink():
                link.symlink_to(file.resolve())
    for part, pairs in (("train", chosen), ("val", others)):
        lines = "".join(f"{pair.name}\n" for pair in pairs)
        (folder / "splits" / f"{OWN}_{part}.txt").write_text(lines, encoding="utf-8")
    return Source(folder, OWN)
