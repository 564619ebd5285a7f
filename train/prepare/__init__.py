"""A hospital's own folder → a data set that `python -m train` and `rtpolyp eval` read.

    OUT/images/NAME.*           hard links to the originals, or copies
    OUT/masks/NAME.png          0, and 255 where a polyp is
    OUT/splits/own_{train,val,test}.txt; own-negatives_… for frames without a polyp alone, or the published
                                ones of a public data set
    OUT/groups.csv              which frames belong together: patients, or near-duplicates
    OUT/prepare.json            the report

The source is only read.
"""

import csv
import json
import os
import tempfile
from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from rtpolyp.errors import InputError, OutputError
from rtpolyp.imaging.near_duplicates import find_clusters
from rtpolyp.printable import as_cell
from rtpolyp.published_folder import published
from train.prepare.archives import DATASETS, lists_of, read_archive
from train.prepare.folder import Folder, Pair, read_folder
from train.prepare.frames import Frame, convert
from train.prepare.report import Division, Report, report_on
from train.prepare.splits import join_groups, split

__all__ = ["Options", "Report", "prepare"]

SPLIT, SPLIT_POLYP_FREE = "own", "own-negatives"
REPORT = "prepare.json"
LISTED = 20  # problems that are named
OnProgress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class Options:
    """How a folder is read and divided."""

    val: float = 0.1  # share of the images that choose the best weights
    test: float = 0.1  # share of the images that training never sees; 0 for none
    seed: int = 0  # draws the parts
    polyp_classes: frozenset[str] = frozenset()  # colours or COCO categories that are polyp; empty: all
    unannotated_are_empty: bool = False  # images without an annotation show no polyp
    polyp_free: bool = False  # no image shows a polyp, and none needs a mask
    dataset: str = ""  # a public data set, of train.prepare.archives.DATASETS, whose archive the folder is

    def __post_init__(self) -> None:
        if self.polyp_free and self.dataset:
            raise InputError(
                f"polyp-free and the data set {self.dataset}: its archive says which frames show a polyp. "
                "Give one of them"
            )
        if not (0 < self.val < 1 and 0 <= self.test < 1 and self.val + self.test < 1):
            raise InputError(
                f"val {self.val:g} and test {self.test:g}: give shares like 0.1 that leave some to train on"
            )

    @property
    def fractions(self) -> dict[str, float]:
        """Part → share of the images."""
        parts = {"train": 1 - self.val - self.test, "val": self.val, "test": self.test}
        return {part: share for part, share in parts.items() if share}


def prepare(
    folder: Path, out: Path, options: Options = Options(), *, on_progress: OnProgress | None = None
) -> Report:
    """Check `folder`, write the data set `out`, and return what was found.

    `on_progress` is called after each image with the number of images done and of all.

    An `out` that was written by an earlier call is replaced. Raises InputError that lists what has to be
    corrected, and OutputError where `out` holds something else or cannot be written.
    """
    if folder.resolve() in (out.resolve(), *out.resolve().parents):
        raise OutputError(f"{out}: lies in the folder that is read; choose another -o")
    with tempfile.TemporaryDirectory() as unpacked:
        if options.dataset:
            found = read_archive(folder, options.dataset)
        else:
            found = read_folder(
                folder, options.unannotated_are_empty, Path(unpacked), polyp_free=options.polyp_free
            )
        return _prepare(folder, found, out, options, on_progress)


def _prepare(
    folder: Path, found: Folder, out: Path, options: Options, on_progress: OnProgress | None
) -> Report:
    with published(out, REPORT) as staging:
        for sub in ("images", "masks", "splits"):
            (staging / sub).mkdir()
        frames = _convert(folder, found, staging, options, on_progress)
        if not frames:
            raise InputError(f"{folder / 'images'}: none of its frames has an annotation. Annotate some")
        _check_classes(frames, options.polyp_classes)
        clusters = find_clusters(np.stack([frame.contrast for frame in frames]))
        division = _divide(found, frames, clusters, options)
        report = report_on(frames, clusters, division, options.seed, (*found.warnings, *division.warnings))
        _write(staging, frames, division, report)
    return report


def _divide(found: Folder, frames: Sequence[Frame], clusters: np.ndarray, options: Options) -> Division:
    """The parts: a published data set's own, where it has them, else drawn."""
    names = [frame.name for frame in frames]
    known = found.groups
    patients = None if known is None else {name: known[name].name for name in names}
    families = ["" if known is None else known[name].family for name in names]
    grouped_by = "near-duplicate cluster" if known is None else "patient"
    if options.dataset and (lists := lists_of(options.dataset, names)):
        groups = list(names) if patients is None else [patients[name] for name in names]
        return Division(groups, families, grouped_by, lists, ())
    groups, joined = join_groups(names, clusters, patients)
    has_polyp = [frame.polyp_share > 0 for frame in frames]
    parts = split(names, groups, has_polyp, options.fractions, options.seed, polyp_free=options.polyp_free)
    warnings = []
    if known is None:
        warnings.append(
            "without groups.csv (columns file, patient) frames of one patient may lie in two parts, "
            "and Dice will look better than it is; only near-duplicates are kept together"
        )
    if joined:
        warnings.append(f"groups.csv: near-duplicate clusters of several patients, kept together: {joined}")
    if options.dataset and DATASETS[options.dataset].lists:
        warnings.append(
            f"the published parts of {options.dataset} name frames that are not here: parts were drawn"
        )
    stem = SPLIT_POLYP_FREE if options.polyp_free else SPLIT
    drawn = {f"{stem}_{part}": members for part, members in parts.items()}
    return Division(groups, families, grouped_by, drawn, tuple(warnings))


def _convert(
    folder: Path, found: Folder, staging: Path, options: Options, on_progress: OnProgress | None
) -> list[Frame]:
    def attempt(pair: Pair) -> Frame | str:
        try:
            frame = convert(pair, staging, options.polyp_classes)
        except InputError as exc:
            return str(exc).removeprefix(f"{folder}{os.sep}")
        if options.polyp_free and frame.polyp_share:
            return f"images/{pair.image.name}: its annotation shows a polyp; take it out of these frames"
        return frame

    with ThreadPoolExecutor() as pool:  # OpenCV decodes outside the interpreter's lock
        results = []
        for result in pool.map(attempt, found.pairs):
            results.append(result)
            if on_progress is not None:
                on_progress(len(results), len(found.pairs))
    problems = [*found.problems, *(result for result in results if isinstance(result, str))]
    if problems:
        more = [f"… and {len(problems) - LISTED} more"] if len(problems) > LISTED else []
        raise InputError(
            f"{folder}: nothing is written until this is corrected ({len(problems)}):",
            listed=[*problems[:LISTED], *more],
        )
    return [result for result in results if isinstance(result, Frame)]


def _check_classes(frames: Sequence[Frame], chosen: Set[str]) -> None:
    found = sorted({name for frame in frames for name in frame.classes})
    if unknown := sorted(chosen - set(found)):
        raise InputError(
            f"polyp classes {', '.join(unknown)}: not in these masks, which show {', '.join(found)}"
        )


def _write(staging: Path, frames: Sequence[Frame], division: Division, report: Report) -> None:
    for part, members in division.parts.items():
        (staging / "splits" / f"{part}.txt").write_text("\n".join(members) + "\n", encoding="utf-8")
    with (staging / "groups.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("stem", "family", "group"))
        for frame, family, group in zip(frames, division.families, division.groups, strict=True):
            rows.writerow(map(as_cell, (frame.name, family, group)))
    text = json.dumps(report.to_dict(), indent=1, ensure_ascii=False)
    (staging / REPORT).write_text(text + "\n", encoding="utf-8")
