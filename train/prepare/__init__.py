"""A hospital's own folder → a data set that `python -m train` and `rtpolyp eval` read.

    OUT/images/NAME.*           hard links to the originals, or copies
    OUT/masks/NAME.png          0, and 255 where a polyp is
    OUT/splits/own_{train,val,test}.txt
    OUT/groups.csv              which frames belong together: patients, or near-duplicates
    OUT/prepare.json            the report

The source is only read.
"""

import csv
import json
import os
from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtpolyp.errors import InputError, OutputError
from train.prepare.duplicates import find_clusters
from train.prepare.folder import Pair, read_folder
from train.prepare.frames import Frame, convert
from train.prepare.report import Report, report_on
from train.prepare.splits import join_groups, split
from train.publish import published

__all__ = ["Options", "Report", "prepare"]

SPLIT = "own"
REPORT = "prepare.json"
LISTED = 20  # problems that are named


@dataclass(frozen=True)
class Options:
    """How a folder is read and divided."""

    val: float = 0.1  # share of the images that choose the best weights
    test: float = 0.1  # share of the images that training never sees; 0 for none
    seed: int = 0  # draws the parts
    polyp_classes: frozenset[str] = frozenset()  # colours or COCO categories that are polyp; empty: all
    unannotated_are_empty: bool = False  # images without an annotation show no polyp

    def __post_init__(self) -> None:
        if not (0 < self.val < 1 and 0 <= self.test < 1 and self.val + self.test < 1):
            raise InputError(
                f"val {self.val:g} and test {self.test:g}: give shares like 0.1 that leave some to train on"
            )

    @property
    def fractions(self) -> dict[str, float]:
        """Part → share of the images."""
        parts = {"train": 1 - self.val - self.test, "val": self.val, "test": self.test}
        return {part: share for part, share in parts.items() if share}


def prepare(folder: Path, out: Path, options: Options = Options()) -> Report:
    """Check `folder`, write the data set `out`, and return what was found.

    An `out` that was written by an earlier call is replaced. Raises InputError that lists what has to be
    corrected, and OutputError where `out` holds something else or cannot be written.
    """
    found = read_folder(folder, options.unannotated_are_empty)
    if folder.resolve() in (out.resolve(), *out.resolve().parents):
        raise OutputError(f"{out}: lies in the folder that is read; choose another -o")
    with published(out, REPORT) as staging:
        for sub in ("images", "masks", "splits"):
            (staging / sub).mkdir()
        frames = _convert(folder, found.pairs, found.problems, staging, options.polyp_classes)
        names = [frame.name for frame in frames]
        _check_classes(frames, options.polyp_classes)
        clusters = find_clusters(np.stack([frame.contrast for frame in frames]))
        groups, joined = join_groups(names, clusters, found.patients)
        has_polyp = [frame.polyp_share > 0 for frame in frames]
        parts = split(names, groups, has_polyp, options.fractions, options.seed)
        warnings = [*found.warnings]
        if found.patients is None:
            warnings.append(
                "without groups.csv (columns file, patient) frames of one patient may lie in two parts, "
                "and Dice will look better than it is; only near-duplicates are kept together"
            )
        if joined:
            warnings.append(
                f"groups.csv: near-duplicate clusters of several patients, kept together: {joined}"
            )
        grouped_by = "near-duplicate cluster" if found.patients is None else "patient"
        report = report_on(frames, clusters, groups, grouped_by, parts, options.seed, warnings)
        _write(staging, names, groups, parts, report)
    return report


def _convert(
    folder: Path, pairs: Sequence[Pair], problems: Sequence[str], staging: Path, chosen: Set[str]
) -> list[Frame]:
    def attempt(pair: Pair) -> Frame | str:
        try:
            return convert(pair, staging, chosen)
        except InputError as exc:
            return str(exc).removeprefix(f"{folder}{os.sep}")

    with ThreadPoolExecutor() as pool:  # OpenCV decodes outside the interpreter's lock
        results = list(pool.map(attempt, pairs))
    problems = [*problems, *(result for result in results if isinstance(result, str))]
    if problems:
        more = [f"… and {len(problems) - LISTED} more"] if len(problems) > LISTED else []
        lines = "\n  ".join([*problems[:LISTED], *more])
        raise InputError(
            f"{folder}: nothing is written until this is corrected ({len(problems)}):\n  {lines}"
        )
    return [result for result in results if isinstance(result, Frame)]


def _check_classes(frames: Sequence[Frame], chosen: Set[str]) -> None:
    found = sorted({name for frame in frames for name in frame.classes})
    if unknown := sorted(chosen - set(found)):
        raise InputError(
            f"polyp classes {', '.join(unknown)}: not in these masks, which show {', '.join(found)}"
        )


def _write(
    staging: Path,
    names: Sequence[str],
    groups: Sequence[str],
    parts: dict[str, list[str]],
    report: Report,
) -> None:
    for part, members in parts.items():
        (staging / "splits" / f"{SPLIT}_{part}.txt").write_text("\n".join(members) + "\n", encoding="utf-8")
    with (staging / "groups.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("stem", "family", "group"))
        rows.writerows((name, "", group) for name, group in zip(names, groups, strict=True))
    text = json.dumps(report.to_dict(), indent=1, ensure_ascii=False)
    (staging / REPORT).write_text(text + "\n", encoding="utf-8")
