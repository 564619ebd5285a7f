"""What a hospital's folder holds: which file annotates which image, and which patient it is from.

images/NAME.jpg            or PNG, BMP, TIFF, WebP and the other kinds of rtpolyp.imaging.image_file
masks/NAME.png             the same kinds; NAME_mask, mask_NAME, NAME-seg … are understood
annotations.json           in place of masks/: COCO polygons
groups.csv                 optional: columns file and patient
"""

import re
from pathlib import Path
from typing import NamedTuple

from rtpolyp.checks import require_folder
from rtpolyp.errors import InputError
from rtpolyp.imaging.image_file import is_image_name, unread_pictures
from rtpolyp.measure.groups import Group, read_groups
from train.prepare.coco import Drawing, read_coco

__all__ = ["Folder", "Pair", "read_folder"]

WORDS = "masks?|seg|segmentation|gt|groundtruth|labels?|annotation"
AFFIX = re.compile(rf"^(?:{WORDS})[ _.-]+|[ _.-]+(?:{WORDS})$", re.IGNORECASE)


class Pair(NamedTuple):
    """An image and what annotates it."""

    name: str  # the image's stem
    image: Path
    annotation: Path | Drawing | None  # None: no polyp


class Folder(NamedTuple):
    """All that is to be checked, and what is wrong already."""

    pairs: tuple[Pair, ...]  # sorted by name
    groups: dict[str, Group] | None  # name → patient; None without groups.csv
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def read_folder(folder: Path, unannotated_are_empty: bool = False) -> Folder:
    """Pair the files of `folder`. Raises InputError where there is nothing to pair."""
    masks, coco = folder / "masks", folder / "annotations.json"
    require_folder(folder)
    if not (folder / "images").is_dir():
        raise InputError(f"{folder}: no images/ in it. Put the images there, and their masks into masks/")
    if masks.is_dir() == coco.is_file():
        found = (
            "both masks/ and annotations.json" if masks.is_dir() else "neither masks/ nor annotations.json"
        )
        raise InputError(f"{folder}: {found} in it. Give the masks in one of them")
    problems: list[str] = []
    warnings: list[str] = []
    images = _by_stem(folder / "images", problems, warnings)
    annotations = _masks(masks, images, problems, warnings) if masks.is_dir() else read_coco(coco)
    if not images:
        raise InputError(f"{folder / 'images'}: no images directly in it. Put .jpg or .png files there")
    if strays := sorted(annotations.keys() - images.keys()):
        warnings.append(f"annotations without an image ({len(strays)}): {_few(strays)}")
    pairs, bare = [], []
    for name, image in images.items():
        annotation = annotations.get(name)
        if isinstance(annotation, str):
            problems.append(annotation)
            continue
        if annotation is None:
            bare.append(name)
        if annotation is not None or unannotated_are_empty:
            pairs.append(Pair(name, image, annotation))
    if bare and unannotated_are_empty:
        warnings.append(f"images without an annotation, taken as polyp-free ({len(bare)}): {_few(bare)}")
    elif bare:
        problems += [f"images/{images[name].name}: no annotation" for name in bare]
    return Folder(tuple(pairs), _groups(folder, images, problems), tuple(problems), tuple(warnings))


def _by_stem(folder: Path, problems: list[str], warnings: list[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    others = []
    problems += [
        f"{folder.name}/{path.name}: pictures of the kind {path.suffix} are not read; convert it to PNG"
        for path in unread_pictures(folder)
    ]
    for path in sorted(folder.iterdir()):
        if not is_image_name(path):
            others.append(path.name)
        elif (first := files.setdefault(path.stem, path)) != path:
            problems.append(f"{folder.name}/{path.name}: {first.name} has the same name")
    if others:
        warnings.append(f"{folder.name}/: left out, of no kind that is read ({len(others)}): {_few(others)}")
    return files


def _masks(
    folder: Path, images: dict[str, Path], problems: list[str], warnings: list[str]
) -> dict[str, Path | Drawing | str]:
    """Image stem → mask; a mask's name is the image's, or that with a word before or after it."""
    found: dict[str, Path | Drawing | str] = {}
    for stem, path in _by_stem(folder, problems, warnings).items():
        name = stem if stem in images else AFFIX.sub("", stem)
        first = found.setdefault(name, path)
        if first != path:
            problems.append(f"{folder.name}/{path.name}: {name} has two masks")
    return found


def _groups(folder: Path, images: dict[str, Path], problems: list[str]) -> dict[str, Group] | None:
    path = folder / "groups.csv"
    if not path.is_file():
        return None
    groups = read_groups(path, folder.resolve().name)
    missing = [images[name].name for name in images if name not in groups or not groups[name].name]
    problems += [f"groups.csv: no patient of images/{name}" for name in missing]
    return groups


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
