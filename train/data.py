"""Datasets on disk → frames in memory, decoded once.

Folders, splits and pairs are read as the evaluation reads them, and resized as the runtime resizes. Frames
are held as squares: the network's input is the picture stretched to its size, in training as in the runtime,
so every frame has one shape and a batch is one gather.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from rtpolyp.checks import known_names, require_folder
from rtpolyp.errors import InputError
from rtpolyp.imaging.picture import Crop
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.measure.dataset import Pair, load_pairs
from rtpolyp.measure.evaluation import read_cropped
from rtpolyp.measure.mask_check import classes_in, say_classes
from rtpolyp.spec import sha256_of
from train.progress import counted

__all__ = [
    "Frames",
    "Source",
    "TrainingFile",
    "check_names",
    "check_size",
    "load_frames",
    "parse_source",
    "resized",
]

STRIDE = 32  # of every encoder


@dataclass(frozen=True)
class Source:
    """One dataset folder and one of its splits, by the stem of the split files."""

    folder: Path
    split: str

    @property
    def name(self) -> str:
        """Folder and split, as on the command line."""
        return f"{self.folder.name}:{self.split}"

    @property
    def is_polyp_free(self) -> bool:
        """Whether its split's name, which ends in "negatives", says that no frame shows a polyp."""
        return self.split.endswith("negatives")

    def pairs(self, part: str) -> list[Pair]:
        """The frames of `part` ("train" or "val"). Raises InputError for an unusable split."""
        return load_pairs(self.folder, f"{self.split}_{part}")

    def has_part(self, part: str) -> bool:
        """Whether there is a list of `part`: a "test" part is optional."""
        return any((place / "splits" / f"{self.split}_{part}.txt").is_file() for place in _homes(self.folder))


@dataclass(frozen=True)
class TrainingFile:
    """A file that a network has seen, so that no evaluation scores it unawares."""

    source: str  # folder and split
    name: str  # file name
    sha256: str  # of the file's bytes, hexadecimal


@dataclass(frozen=True)
class Frames:
    """Decoded frames, all of one size."""

    images: np.ndarray  # (F, S, S, 3) uint8 RGB
    masks: np.ndarray  # (F, S, S) uint8, 255 = polyp
    source_index: np.ndarray  # (F,) int64, into sources
    sources: tuple[str, ...]
    files: tuple[TrainingFile, ...]
    places: tuple[str, ...] = ()  # DIR:SPLIT of each source

    def __len__(self) -> int:
        return len(self.images)


def parse_source(text: str) -> Source:
    """`DIR[:SPLIT]` → Source; without SPLIT, the folder's only one. Raises InputError with the choices."""
    folder_text, _, split = text.partition(":")
    folder = Path(folder_text).resolve()
    require_folder(folder)
    for sub in ("images", "masks"):
        if not (folder / sub).is_dir():
            raise InputError(f"{folder}: no {sub}/ in it. Give a folder that holds images/ and masks/")
    splits = _splits(folder)
    if split in splits:
        return Source(folder, split)
    if not split and len(splits) == 1:
        return Source(folder, splits[0])
    problem = f"split {split!r} is unknown" if split else "no split chosen"
    raise InputError(f"{folder}: {problem}; {_choices(folder, split)}")


def check_names(sources: Sequence[Source]) -> None:
    """Raise InputError where two sources share a name."""
    names = [source.name for source in sources]
    if len(set(names)) < len(names):
        raise InputError(f"{', '.join(names)}: two sources share a name. Give each once, rename a folder")


def check_size(side: int) -> None:
    """Raise InputError for a side in pixels that the encoders cannot halve five times."""
    if side < STRIDE or side % STRIDE:
        raise InputError(f"--size {side}: not a multiple of {STRIDE}. Give e.g. 256 or 288")


def load_frames(sources: Sequence[Source], part: str, side: int, *, picture_crop: bool = False) -> Frames:
    """Decode `part` ("train" or "val") of all sources to squares of `side` pixels.

    With `picture_crop` only the endoscope's picture is taken, as of a stream. Raises InputError for an image
    without a mask, a mask of another size, what cannot be decoded, a polyp in a source of polyp-free frames,
    and a source that is given twice.
    """
    check_names(sources)
    names = tuple(source.name for source in sources)
    pairs = [(index, pair) for index, source in enumerate(sources) for pair in source.pairs(part)]
    crop: Crop = "auto" if picture_crop else "off"
    images = np.empty((len(pairs), side, side, 3), np.uint8)
    masks = np.empty((len(pairs), side, side), np.uint8)
    colours: set[str] = set()

    def load(position: int) -> TrainingFile:
        index, pair = pairs[position]
        colours.update(classes_in(pair.mask))
        image, truth = read_cropped(pair, crop)
        if sources[index].is_polyp_free and truth.any():
            raise InputError(
                f"{pair.mask}: shows a polyp, and {names[index]} is a list of frames without one. "
                "Take it off the list, or empty the mask"
            )
        images[position] = cv2.cvtColor(resize_frame(image, (side, side)), cv2.COLOR_BGR2RGB)
        masks[position] = _binary(resize_frame(truth * np.uint8(255), (side, side)))
        return TrainingFile(names[index], pair.image.name, sha256_of(pair.image))

    files = []
    with (
        ThreadPoolExecutor() as pool,  # Pillow decodes outside the interpreter's lock
        counted(f"decoding the {part} frames", len(pairs)) as one_more,
    ):
        for file in pool.map(load, range(len(pairs))):
            files.append(file)
            one_more()
    say_classes(colours)
    places = tuple(f"{source.folder}:{source.split}" for source in sources)
    return Frames(images, masks, np.array([index for index, _ in pairs]), names, tuple(files), places)


def resized(frames: Frames, side: int) -> Frames:
    """The same frames as squares of `side` pixels."""
    if frames.images.shape[1] == side:
        return frames
    images = np.stack([resize_frame(image, (side, side)) for image in frames.images])
    masks = _binary(np.stack([resize_frame(mask, (side, side)) for mask in frames.masks]))
    return replace(frames, images=images, masks=masks)


def _binary(mask: np.ndarray) -> np.ndarray:
    return np.where(mask > 127, np.uint8(255), np.uint8(0))


def _homes(folder: Path) -> tuple[Path, Path]:
    return folder, folder.parent  # of a splits/ folder


def _splits(folder: Path) -> list[str]:
    files = [file for place in _homes(folder) for file in (place / "splits").glob("*_train.txt")]
    return sorted({file.name.removesuffix("_train.txt") for file in files})


def _choices(folder: Path, given: str) -> str:
    splits = _splits(folder)
    if not splits:
        return (
            f"there are none in {folder / 'splits'}. Split it with python -m train.prepare, or write "
            "<SPLIT>_train.txt and <SPLIT>_val.txt"
        )
    return f"{known_names(given, splits)}. Give e.g. {folder.name}:{splits[0]}"
