"""What a hospital's folder holds: which file annotates which image, and which patient it is from.

images/NAME.jpg            or PNG, BMP, TIFF, WebP and the other kinds of rtpolyp.imaging.image_file; of a
                           DICOM video NAME, the frames NAME-000012 that are annotated
groups.csv                 optional: columns file and patient

and one of

masks/NAME.png             the same kinds as images; NAME_mask, mask_NAME, NAME-seg … are understood
annotations.json           COCO; or annotations/instances_*.json
annotations.xml            CVAT, for images or for video; or *.xml, one for each part
labels/NAME.txt            YOLO-seg, with data.yaml
images/NAME.json           LabelMe

or none, where no image shows a polyp

Labelling tools put images and labels into a folder for each part: beside files of theirs, images are found in
folders of images/, too.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from rtpolyp.checks import require_folder
from rtpolyp.errors import InputError
from rtpolyp.imaging.picture_names import is_image_name, stem_of, unread_masks, unread_pictures
from rtpolyp.measure.groups import Group, read_groups
from train.prepare.coco import read_coco
from train.prepare.cvat import read_cvat
from train.prepare.dicom_frames import VideoFrame, take_videos, write_frames
from train.prepare.drawing import Drawing, merged
from train.prepare.labelme import read_labelme
from train.prepare.yolo import read_yolo

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


def read_folder(
    folder: Path,
    unannotated_are_empty: bool = False,
    unpacked: Path | None = None,
    *,
    polyp_free: bool = False,
) -> Folder:
    """Pair the files of `folder`; annotated frames of DICOM videos become files in the folder `unpacked`.

    Where all is `polyp_free`, no image needs an annotation.

    Raises InputError where there is nothing to pair, or a video cannot be decoded.
    """
    require_folder(folder)
    if not (folder / "images").is_dir():
        raise InputError(f"{folder}: no images/ in it. Put the images there, and their masks into masks/")
    form = _form(folder, polyp_free)
    problems: list[str] = []
    warnings: list[str] = []
    images = _by_stem(folder / "images", problems, warnings, nested=form != "masks/")
    frames = {} if unpacked is None else take_videos(images, unpacked)
    images |= {name: frame.image for name, frame in frames.items()}
    annotations = _annotations(folder, form, images, problems, warnings)
    if not images:
        raise InputError(f"{folder / 'images'}: no images in it. Put .jpg or .png files there")
    if strays := sorted(annotations.keys() - images.keys()):
        warnings.append(f"annotations without an image ({len(strays)}): {_few(strays)}")
    pairs, bare = [], []
    for name, image in images.items():
        annotation = annotations.get(name)
        if isinstance(annotation, str):
            problems.append(annotation)
            continue
        if annotation is None and name in frames:
            continue
        if annotation is None:
            bare.append(name)
        if annotation is not None or unannotated_are_empty or polyp_free:
            pairs.append(Pair(name, image, annotation))
    if polyp_free:
        videos = dict.fromkeys(frame.video.name for name, frame in frames.items() if name not in annotations)
        problems += [f"images/{name}: a video; put those of its frames that count there" for name in videos]
    elif bare and unannotated_are_empty:
        warnings.append(f"images without an annotation, taken as polyp-free ({len(bare)}): {_few(bare)}")
    elif bare:
        problems += [f"images/{images[name].name}: no annotation" for name in bare]
    write_frames([frames[pair.name] for pair in pairs if pair.name in frames])
    groups = _groups(folder, images, frames, problems)
    return Folder(tuple(pairs), groups, tuple(problems), tuple(warnings))


def _form(folder: Path, polyp_free: bool) -> str:
    """Which of the forms above annotates the images; "" for none, where all is polyp-free."""
    forms = {
        "masks/": (folder / "masks").is_dir(),
        "annotations.json": (folder / "annotations.json").is_file(),
        "annotations/instances_*.json": any(folder.glob("annotations/instances_*.json")),
        "*.xml": any(folder.glob("*.xml")),
        "labels/*.txt": any((folder / "labels").rglob("*.txt")),
    }
    found = [name for name, there in forms.items() if there]
    if len(found) > 1:
        raise InputError(f"{folder}: both {found[0]} and {found[1]} in it. Give the masks in one of them")
    if found:
        return found[0]
    if any((folder / "images").rglob("*.json")):
        return "images/*.json"
    if polyp_free:
        return ""
    raise InputError(
        f"{folder}: no {', '.join(forms)} or images/*.json in it. Put masks into masks/, or a labelling "
        "tool's files there; or say --polyp-free where no image shows a polyp"
    )


def _annotations(
    folder: Path, form: str, images: dict[str, Path], problems: list[str], warnings: list[str]
) -> Mapping[str, Path | Drawing | str]:
    """Image stem → its annotation, or what is wrong with it."""
    if not form:
        return {}
    if form == "masks/":
        return _masks(folder / "masks", images, problems, warnings)
    if form == "*.xml":
        return merged((path, read_cvat(path, images)) for path in sorted(folder.glob(form)))
    if form == "labels/*.txt":
        return read_yolo(folder, _unique(folder / "labels", "*.txt", problems), images)
    if form == "images/*.json":
        return read_labelme(_unique(folder / "images", "*.json", problems))
    return merged((path, read_coco(path)) for path in sorted(folder.glob(form)))


def _unique(folder: Path, pattern: str, problems: list[str]) -> list[Path]:
    """The files of a folder and of those in it, one for each stem."""
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob(pattern)):
        if (first := files.setdefault(path.stem, path)) != path:
            problems.append(
                f"{path.relative_to(folder.parent)}: {first.relative_to(folder.parent)} has the same name"
            )
    return list(files.values())


def _by_stem(
    folder: Path, problems: list[str], warnings: list[str], *, nested: bool = False
) -> dict[str, Path]:
    files: dict[str, Path] = {}
    others = []
    folders = [folder, *(sorted(path for path in folder.rglob("*") if path.is_dir()) if nested else ())]
    problems += [
        f"{folder.name}/{path.name}: pictures of the kind {path.suffix} are not read; convert it to PNG"
        for one in folders
        for path in unread_pictures(one)
    ]
    for path in (path for one in folders for path in sorted(one.iterdir())):
        if nested and (path.is_dir() or path.suffix == ".json"):
            continue
        if not is_image_name(path):
            others.append(path.name)
        elif (first := files.setdefault(stem_of(path), path)) != path:
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
    for name, path in unread_masks(folder, images.keys() - found.keys()).items():
        found[name] = f"masks/{path.name}: a mask of the kind {path.suffix} is not read; convert it to PNG"
    return found


def _groups(
    folder: Path, images: dict[str, Path], frames: dict[str, VideoFrame], problems: list[str]
) -> dict[str, Group] | None:
    """Image → its patient; a frame's is that of its video."""
    path = folder / "groups.csv"
    if not path.is_file():
        if frames:
            problems.append(
                "groups.csv: missing, and frames of a video belong together; write file,patient and a line "
                "for each file in images/"
            )
        return None
    groups = read_groups(path, folder.resolve().name)
    groups |= {name: groups.get(frame.owner, Group("", "")) for name, frame in frames.items()}
    files = {name: frames[name].video if name in frames else image for name, image in images.items()}
    missing = [files[name].name for name in images if name not in groups or not groups[name].name]
    problems += [f"groups.csv: no patient of images/{name}" for name in dict.fromkeys(missing)]
    return groups


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
