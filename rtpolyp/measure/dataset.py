"""Folders of images and masks: which frames a split holds, and which frames belong together."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rtpolyp.checks import known_names, require_folder
from rtpolyp.errors import InputError
from rtpolyp.imaging.picture_names import is_image_name, stem_of, unread_masks, unread_pictures
from rtpolyp.measure.groups import Group, read_groups
from rtpolyp.spec import EngineSpec, image_fingerprint

__all__ = ["Pair", "images_by_stem", "load_pairs", "split_seen"]

log = logging.getLogger(__name__)


class Pair(NamedTuple):
    """One frame to score."""

    image: Path
    mask: Path
    name: str  # the image's stem
    group: str  # frames of one group resemble each other and are resampled together; the name when alone
    family: str  # the part that has a row of its own in the report: hospital or sequence; "" without one


def load_pairs(folder: Path, split: str | None = None) -> list[Pair]:
    """The frames of a data set: `folder/images/NAME.*` with `folder/masks/NAME.*`, in the split's order.

    `split` is a text file with one name a line, or the stem of one in `folder/splits/` or
    `folder/../splits/`; without it, every image is taken. Groups come from `sequences.csv` in the folder or
    `groups.csv` in it or beside it, see `rtpolyp.measure.groups`. Raises InputError for a missing folder, an
    unknown or empty split (naming those that exist), a name without an image, an image without a mask, and a
    table of groups that cannot be read.
    """
    require_folder(folder)
    for part in ("images", "masks"):
        if not (folder / part).is_dir():
            raise InputError(f"{folder}: no folder {part}/ in it; a data set holds images/ and masks/")
    images = images_by_stem(folder / "images")
    masks = images_by_stem(folder / "masks")
    names = sorted(images) if split is None else _read_split(folder, split)
    if not names:
        raise InputError(f"{folder / 'images'}: no images; put .jpg or .png files there")
    if stray := sorted(masks.keys() - images.keys()):
        names_said = ", ".join(stray[:3]) + (" …" if len(stray) > 3 else "")
        log.warning("%s: masks of no image (%d): %s", folder / "masks", len(stray), names_said)
    groups = _read_groups(folder)
    pairs = []
    for name in names:
        if name not in images:
            raise InputError(
                f"{split}: frame {name!r} is not in {folder / 'images'}; choose this data set's split"
            )
        if name not in masks:
            raise InputError(_no_mask(images[name], name, folder / "masks"))
        group, family = groups.get(name, Group("", ""))
        pairs.append(Pair(images[name], masks[name], name, group or name, family))
    return pairs


def _no_mask(image: Path, name: str, masks: Path) -> str:
    """What is wrong where an image has no mask that is read."""
    if (other := unread_masks(masks, [name]).get(name)) is not None:
        return f"{other}: a mask of the kind {other.suffix} is not read; convert it to PNG"
    return f"{image}: no mask {masks / name}.*; add it, empty when no polyp"


def split_seen(pairs: Sequence[Pair], spec: EngineSpec) -> tuple[list[Pair], list[Pair]]:
    """Divide `pairs` into those that the network never saw and those it was trained or chosen on."""
    if not spec.trained_on:
        return list(pairs), []
    known = frozenset(spec.trained_on)
    unseen: list[Pair] = []
    seen: list[Pair] = []
    for pair in pairs:
        (seen if image_fingerprint(pair.image) in known else unseen).append(pair)
    return unseen, seen


def images_by_stem(folder: Path) -> dict[str, Path]:
    """The image files of a folder by their stem.

    Raises InputError when two share one, and for pictures of a kind that is not read: left out, they would
    change what is scored or learnt.
    """
    if unread := unread_pictures(folder):
        raise InputError(
            f"{unread[0]}: pictures of the kind {unread[0].suffix} are not read ({len(unread)} in this "
            "folder); convert them to PNG, or move them away"
        )
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not is_image_name(path):
            continue
        if (other := files.setdefault(stem_of(path), path)) != path:
            raise InputError(f"{path}: {other.name} has the same name; keep one of them")
    return files


def _read_split(folder: Path, split: str) -> list[str]:
    folders = (folder / "splits", folder.resolve().parent / "splits")
    path = Path(split)
    if not path.is_file():
        path = next((file for part in folders if (file := part / f"{split}.txt").is_file()), path)
    if not path.is_file():
        known = sorted(file.stem for part in folders for file in part.glob("*.txt"))
        choices = known_names(split, known) if known else "give the path of a text file, one name a line"
        raise InputError(f"{split}: no such split of {folder}; {choices}")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{path}: not a text file ({exc}); write one frame name a line") from exc
    names = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not names:
        raise InputError(f"{path}: the split is empty; write one frame name a line")
    return names


def _read_groups(folder: Path) -> dict[str, Group]:
    """Frame name → what it belongs to."""
    inside = (folder / "sequences.csv", folder / "groups.csv")
    beside = folder.resolve().parent / "groups.csv"  # of several data sets
    path = next((path for path in (*inside, beside) if path.is_file()), None)
    return {} if path is None else read_groups(path, folder.resolve().name)
