"""What was found in a hospital's folder, as lines to read and as JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from train.prepare.frames import DOUBTS, Frame

__all__ = ["Part", "Report", "report_on"]

PERCENTILES = (5, 50, 95)
NAMED = 5  # files that a line names
ENOUGH_POLYPS = 20  # images with a polyp, from which a mean over a part says something


@dataclass(frozen=True)
class Part:
    """One part of the split."""

    images: int
    polyp: int  # images with a polyp
    groups: int


@dataclass(frozen=True)
class Report:
    """Everything that prepare.json holds."""

    images: int
    polyp: int  # images with a polyp
    sizes: dict[str, int]  # "1920x1080" → images, most frequent first
    polyp_share: tuple[float, ...]  # PERCENTILES of the polyps' share of the picture; () without a polyp
    masks: dict[str, int]  # kind of mask, see rtpolyp.imaging.mask_file → images
    classes: dict[str, int]  # pixels of each colour or category in all masks
    near_duplicates: tuple[tuple[str, ...], ...]  # clusters of two and more images
    grouped_by: str  # "patient" or "near-duplicate cluster"
    shared_groups: int  # that lie in two parts of one split: published splits may, drawn ones never do
    parts: dict[str, Part]
    seed: int
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Plain types, for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The report to read, without the warnings."""
        free = self.images - self.polyp
        rows = [
            f"{self.images} images: {self.polyp} with a polyp, {free} without",
            f"sizes: {_counted(self.sizes)}",
        ]
        if self.polyp:
            low, middle, high = (f"{share:.2%}" for share in self.polyp_share)
            rows.append(
                f"polyps cover {middle} of the picture (median), {low} to {high} (5th to 95th percentile)"
            )
        rows.append(f"masks: {_counted(self.masks)}")
        if set(self.classes) - {"white"}:
            total = sum(self.classes.values())
            shares = (f"{name} {count / total:.1%}" for name, count in self.classes.items())
            rows.append(f"classes, by pixels: {', '.join(shares)}")
        doubles = sum(map(len, self.near_duplicates))
        rows.append(f"near-duplicates: {doubles} images in {len(self.near_duplicates)} clusters")
        rows += [f"  {', '.join(cluster)}" for cluster in self.near_duplicates[:NAMED]]
        if len(self.near_duplicates) > NAMED:
            rows.append(f"  … and {len(self.near_duplicates) - NAMED} more clusters, in prepare.json")
        rows.append(f"groups: by {self.grouped_by}, {self.shared_groups or 'none'} in two parts of one split")
        for name, part in self.parts.items():
            rows.append(f"{name}: {part.images} images, {part.polyp} with a polyp, {part.groups} groups")
        return rows


@dataclass(frozen=True)
class Division:
    """How the frames are divided."""

    groups: Sequence[str]  # of each frame
    families: Sequence[str]  # of each frame: hospital or sequence, "" without one
    grouped_by: str  # "patient" or "near-duplicate cluster"
    parts: Mapping[str, Sequence[str]]  # the stem of a split's list → its frames
    warnings: tuple[str, ...]


def report_on(
    frames: Sequence[Frame],
    clusters: np.ndarray,
    division: Division,
    seed: int,
    warnings: Sequence[str],
) -> Report:
    """Count everything. `clusters: (N,) int64` label near-duplicates."""
    by_name = {frame.name: (frame, group) for frame, group in zip(frames, division.groups, strict=True)}
    shares = [frame.polyp_share for frame in frames if frame.polyp_share]
    classes: Counter[str] = Counter()
    for frame in frames:
        classes.update(frame.classes)
    members = [
        tuple(frames[int(i)].name for i in np.flatnonzero(clusters == label)) for label in np.unique(clusters)
    ]
    counted = {}
    for part, names in division.parts.items():
        inside = [by_name[name] for name in names]
        polyp = sum(frame.polyp_share > 0 for frame, _ in inside)
        counted[part] = Part(len(inside), polyp, len({group for _, group in inside}))
    return Report(
        len(frames),
        len(shares),
        dict(Counter(f"{frame.size[0]}x{frame.size[1]}" for frame in frames).most_common()),
        tuple(np.percentile(shares, PERCENTILES).tolist()) if shares else (),
        dict(Counter(frame.kind for frame in frames).most_common()),
        dict(classes.most_common()),
        tuple(cluster for cluster in members if len(cluster) > 1),
        division.grouped_by,
        len(_shared(division.parts, by_name)),
        counted,
        seed,
        (*warnings, *_small(counted, frames), *_doubts(frames)),
    )


def _shared(
    parts: Mapping[str, Sequence[str]], by_name: Mapping[str, tuple[Frame, str]]
) -> set[tuple[str, str]]:
    """The groups that lie in two parts of one split, each with the split's stem."""
    homes: dict[tuple[str, str], set[str]] = {}
    for part, names in parts.items():
        for name in names:
            homes.setdefault((part.rpartition("_")[0], by_name[name][1]), set()).add(part)
    return {key for key, lies_in in homes.items() if len(lies_in) > 1}


def _small(parts: Mapping[str, Part], frames: Sequence[Frame]) -> list[str]:
    """What parts are too small for, one warning each."""
    warnings: list[str] = []
    if not any(frame.polyp_share for frame in frames):
        return warnings  # frames without a polyp alone, as meant
    measured = {name: part for name, part in parts.items() if not name.endswith("train")}
    few = [f"{name} ({part.polyp})" for name, part in measured.items() if part.polyp < ENOUGH_POLYPS]
    if few:
        warnings.append(
            f"fewer than {ENOUGH_POLYPS} images with a polyp in {', '.join(few)}: a mean Dice over them "
            "moves by several points with another draw; add images, or give a larger share"
        )
    if any(frame.polyp_share == 0 for frame in frames):
        bare = [name for name, part in measured.items() if part.images == part.polyp]
        if bare:
            warnings.append(
                f"no polyp-free image in {', '.join(bare)}: false outlines are not measured there"
            )
    else:
        warnings.append(
            "no polyp-free image at all: false outlines are neither learnt against nor measured; add frames "
            "without a polyp and empty masks"
        )
    return warnings


def _doubts(frames: Sequence[Frame]) -> list[str]:
    warnings = []
    for doubt, text in DOUBTS.items():
        names = [frame.name for frame in frames if doubt in frame.doubts]
        if names:
            more = " …" if len(names) > NAMED else ""
            warnings.append(f"masks that {text} ({len(names)}): {', '.join(names[:NAMED])}{more}")
    return warnings


def _counted(counts: Mapping[str, int]) -> str:
    shown = [f"{name} ({count})" for name, count in list(counts.items())[:NAMED]]
    return ", ".join(shown) + (f" and {len(counts) - NAMED} more" if len(counts) > NAMED else "")
