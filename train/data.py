"""Datasets on disk → frames in memory, decoded once.

A dataset is a folder with `images/` and `masks/` (same stems) and split files, one stem a line, in its
`splits/` or in its parent's. Frames are held as squares: the network's input is the picture stretched to its
size, in training as in the runtime, so every frame has one shape and a batch is one gather.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from rtpolyp.errors import InputError

__all__ = ["Frames", "Source", "TrainingFile", "load_frames", "parse_source", "resized"]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class Source:
    """One dataset folder and one of its splits, by the stem of the split files."""

    folder: Path
    split: str

    @property
    def name(self) -> str:
        """Folder and split, as on the command line."""
        return f"{self.folder.name}:{self.split}"

    def stems(self, part: str) -> list[str]:
        """The frames of `part` ("train" or "val"). Raises InputError for a missing or empty split file."""
        file = _splits_folder(self.folder) / f"{self.split}_{part}.txt"
        if not file.is_file():
            raise InputError(f"{file}: no such split file; {_choices(self.folder)}")
        stems = file.read_text().split()
        if not stems:
            raise InputError(f"{file}: the split is empty. Add one image stem a line")
        return stems


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

    def __len__(self) -> int:
        return len(self.images)


def parse_source(text: str) -> Source:
    """`DIR[:SPLIT]` → Source; without SPLIT, the folder's only one. Raises InputError with the choices."""
    folder_text, _, split = text.partition(":")
    folder = Path(folder_text).resolve()
    for sub in ("images", "masks"):
        if not (folder / sub).is_dir():
            raise InputError(f"{folder}: no {sub}/ in it. Give a folder that holds images/ and masks/")
    splits = _splits(folder)
    if split in splits:
        return Source(folder, split)
    if not split and len(splits) == 1:
        return Source(folder, splits[0])
    problem = f"split {split!r} is unknown" if split else "no split chosen"
    raise InputError(f"{folder}: {problem}; {_choices(folder)}")


def load_frames(sources: Sequence[Source], part: str, side: int) -> Frames:
    """Decode `part` ("train" or "val") of all sources to squares of `side` pixels.

    Raises InputError for an image without a mask, a mask of another size, and what cannot be decoded.
    """
    index_of_file = [
        (index, _find_image(source.folder, stem))
        for index, source in enumerate(sources)
        for stem in source.stems(part)
    ]
    images = np.empty((len(index_of_file), side, side, 3), np.uint8)
    masks = np.empty((len(index_of_file), side, side), np.uint8)

    def load(position: int) -> TrainingFile:
        index, path = index_of_file[position]
        image, mask, sha256 = _read_pair(path, sources[index].folder / "masks")
        images[position] = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        shrunk = cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA)
        masks[position] = np.where(shrunk > 127, 255, 0)
        return TrainingFile(sources[index].name, path.name, sha256)

    with ThreadPoolExecutor() as pool:  # OpenCV decodes outside the interpreter's lock
        files = tuple(pool.map(load, range(len(index_of_file))))
    return Frames(
        images, masks, np.array([index for index, _ in index_of_file]), tuple(s.name for s in sources), files
    )


def resized(frames: Frames, side: int) -> Frames:
    """The same frames as squares of `side` pixels, averaged over areas so that nothing aliases."""
    if frames.images.shape[1] == side:
        return frames
    images = [cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image in frames.images]
    masks = [cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA) for mask in frames.masks]
    binary = np.where(np.stack(masks) > 127, 255, 0).astype(np.uint8)
    return Frames(np.stack(images), binary, frames.source_index, frames.sources, frames.files)


def _read_pair(path: Path, masks: Path) -> tuple[np.ndarray, np.ndarray, str]:
    """Image (H, W, 3) uint8 RGB, mask (H, W) uint8 and the SHA-256 of the image file."""
    data = path.read_bytes()
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise InputError(f"{path}: not an image that OpenCV can read. Replace it or take it out of the split")
    mask_path = _find(masks, path.stem)
    if mask_path is None:
        raise InputError(f"{path}: no mask {masks / path.stem}.*. Add it or take the image out of the split")
    mask = cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise InputError(f"{mask_path}: not an image that OpenCV can read. Replace it")
    if mask.shape != image.shape[:2]:
        sizes = " against ".join(f"{width}×{height}" for height, width in (mask.shape, image.shape[:2]))
        raise InputError(f"{mask_path}: mask and image differ in size, {sizes}. Resize the mask")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), mask, hashlib.sha256(data).hexdigest()


def _find(folder: Path, stem: str) -> Path | None:
    candidates = (folder / f"{stem}{suffix}" for suffix in IMAGE_SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def _find_image(folder: Path, stem: str) -> Path:
    path = _find(folder / "images", stem)
    if path is None:
        raise InputError(f"{folder / 'images' / stem}.*: in the split, but there is no such image. Add it")
    return path


def _splits_folder(folder: Path) -> Path:
    own = folder / "splits"
    return own if own.is_dir() else folder.parent / "splits"


def _splits(folder: Path) -> list[str]:
    files = _splits_folder(folder).glob("*_train.txt")
    return sorted(file.name.removesuffix("_train.txt") for file in files)


def _choices(folder: Path) -> str:
    splits = _splits(folder)
    if not splits:
        return f"there are none in {_splits_folder(folder)}. Write <SPLIT>_train.txt and <SPLIT>_val.txt"
    return f"there are: {', '.join(splits)}. Give e.g. {folder.name}:{splits[0]}"
