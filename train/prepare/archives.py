"""Published data sets as their archives hold them → images and their masks.

Where to get each one and under which terms: docs/data.md.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtpolyp.checks import known_beside, known_names
from rtpolyp.errors import InputError
from rtpolyp.imaging.picture_names import is_image_name, unread_pictures
from rtpolyp.measure.groups import Group, read_groups
from train.prepare.folder import Folder, Pair

__all__ = ["DATASETS", "Dataset", "lists_of", "read_archive"]

LISTS = Path(__file__).resolve().parents[2] / "splits"
DEPTH = 4  # folders that archives nest


@dataclass(frozen=True)
class Layout:
    """Where one form of an archive has its files, below some folder of it."""

    images: str  # a folder, or a pattern of several
    masks: str  # the folder of its masks: \\1 is what the pattern's * stands for
    mask: str = "{}"  # a mask's stem for an image's


PLAIN = Layout("images", "masks")  # as PraNet's authors pass several of these sets on


@dataclass(frozen=True)
class Dataset:
    """A public data set."""

    layouts: tuple[Layout, ...]  # the first that fits is taken
    lists: str = ""  # the folder in splits/ that has its parts; "" for a set that is only tested on

    @property
    def splits(self) -> Path:
        """The folder with its lists and groups."""
        return LISTS / self.lists


DATASETS = {
    "kvasir-seg": Dataset((PLAIN,), "kvasir-seg"),
    "hyperkvasir": Dataset(
        (Layout("segmented-images/images", "segmented-images/masks"), PLAIN), "kvasir-seg"
    ),
    "cvc-clinicdb": Dataset(
        (
            Layout("PNG/Original", "PNG/Ground Truth"),
            Layout("Original", "Ground Truth"),
            PLAIN,
        ),
        "cvc-clinicdb",
    ),
    "polypgen": Dataset((Layout("images_C*", "masks_C\\1", "{}_mask"), PLAIN), "polypgen"),
    "bkai": Dataset(
        (Layout("train/train", "train_gt/train_gt"), Layout("train", "train_gt"), PLAIN), "bkai-neopolyp"
    ),
    "etis": Dataset(
        (Layout("ETIS-LaribPolypDB", "Ground Truth", "p{}"), Layout("Images", "Ground Truth", "p{}"), PLAIN)
    ),
    "cvc-colondb": Dataset(
        (Layout("CVC-ColonDB", "Ground Truth", "p{}"), Layout("images", "GT", "p{}"), PLAIN)
    ),
}


def read_archive(folder: Path, name: str) -> Folder:
    """Pair the files of a published archive's folder, wherever in it the archive begins.

    Raises InputError for an unknown data set, and where no known form of it is in the folder.
    """
    if name not in DATASETS:
        raise InputError(f"--dataset {name!r} is unknown; {known_names(name, DATASETS)}")
    if not folder.is_dir():
        meant = known_beside(folder)
        raise InputError(f"{folder}: no such folder; {meant}give the one that the archive was unpacked into")
    dataset = DATASETS[name]
    for layout in dataset.layouts:
        places = _places(folder, layout)
        if places:
            break
    else:
        forms = " or ".join(f"{one.images}/ with {one.masks}/" for one in dataset.layouts)
        known = forms.replace(r"\1", "*")
        raise InputError(f"{folder}: not the archive of {name}, which has {known}; see docs/data.md")
    problems: list[str] = []
    pairs = _pairs(places, layout, problems)
    return Folder(tuple(pairs), _groups(dataset, pairs), tuple(problems), ())


def lists_of(name: str, names: Sequence[str]) -> dict[str, list[str]]:
    """The published parts of a data set, by the stem of their list, where the folder has all their frames."""
    there = set(names)
    found = {}
    for file in sorted(DATASETS[name].splits.glob("*.txt")) if DATASETS[name].lists else ():
        members = file.read_text(encoding="utf-8").split()
        if there.issuperset(members):
            found[file.stem] = members
    return found


def _places(folder: Path, layout: Layout) -> list[tuple[Path, Path]]:
    """The folders of images, each with that of its masks."""
    pattern = re.compile(re.escape(layout.images.rpartition("/")[2]).replace(r"\*", "(.*)") + "$")
    found = []
    for base in _folders(folder, DEPTH):
        for images in sorted(base.glob(layout.images)):
            match = pattern.match(images.name)
            masks = base / (match.expand(layout.masks) if match and "*" in layout.images else layout.masks)
            if images.is_dir() and masks.is_dir():
                found.append((images, masks))
        if found and "*" not in layout.images:
            break
    return found


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    yield folder
    if depth:
        for inside in sorted(folder.iterdir()):
            if inside.is_dir() and not inside.name.startswith((".", "__MACOSX")):
                yield from _folders(inside, depth - 1)


def _pairs(places: list[tuple[Path, Path]], layout: Layout, problems: list[str]) -> list[Pair]:
    pairs: dict[str, Pair] = {}
    for images, masks in places:
        of_stem = {path.stem: path for path in sorted(masks.iterdir()) if is_image_name(path)}
        problems += [
            f"{path}: pictures of the kind {path.suffix} are not read" for path in unread_pictures(images)
        ]
        for image in sorted(filter(is_image_name, images.iterdir())):
            mask = of_stem.get(layout.mask.format(image.stem), of_stem.get(image.stem))
            if mask is None:
                problems.append(f"{image}: no mask {masks / layout.mask.format(image.stem)}.*")
            elif image.stem in pairs:
                problems.append(f"{image}: {pairs[image.stem].image} has the same name")
            else:
                pairs[image.stem] = Pair(image.stem, image, mask)
    return [pairs[name] for name in sorted(pairs)]


def _groups(dataset: Dataset, pairs: list[Pair]) -> dict[str, Group] | None:
    """What the frames are grouped by, where that is known of all of them."""
    for table in ("sequences.csv", "groups.csv"):
        if dataset.lists and (dataset.splits / table).is_file():
            groups = read_groups(dataset.splits / table)
            if all(pair.name in groups for pair in pairs):
                return {pair.name: groups[pair.name] for pair in pairs}
    return None
