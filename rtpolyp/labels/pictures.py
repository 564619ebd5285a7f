"""The pictures that labels belong to: their names, and their files beside the labels."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import cv2
from PIL import Image

from rtpolyp.dicom.magic import is_dicom
from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.image_file import read_image
from rtpolyp.labels.model import Labels
from rtpolyp.video.contract import Source
from rtpolyp.video.image_files import ImageFiles

__all__ = ["copy_pictures", "pictures_of", "write_frames"]


def pictures_of(source: Source) -> dict[str, tuple[str, tuple[int, int] | None]] | None:
    """Frame name → the file's path in images/ and its size (width, height), of images; None of a video."""
    if not isinstance(source, ImageFiles):
        return None
    found: dict[str, tuple[str, tuple[int, int] | None]] = {}
    for name, file in zip(source.names, source.files, strict=True):
        if is_dicom(file):
            height, width = read_image(file).shape[:2]
            found[name] = f"{name}.png", (width, height)
            continue
        try:
            with Image.open(file) as image:
                size = image.size
        except Exception as exc:  # whatever a decoder raises on foreign bytes
            raise InputError(f"{file}: not a readable image; copy or export it again") from exc
        found[name] = (name if name.endswith(file.suffix) else f"{name}{file.suffix}", size)
    return found


def copy_pictures(labels: Labels, files: Mapping[str, Path], out: Path) -> None:
    """Copy the frames' files into `out/images`, of DICOM the pixels as PNG; raises OSError."""
    for frame in labels.frames:
        target = out / "images" / frame.file
        target.parent.mkdir(parents=True, exist_ok=True)
        if is_dicom(files[frame.file]):  # labelling tools do not read it, and it names the patient
            target.write_bytes(cv2.imencode(".png", read_image(files[frame.file]))[1].tobytes())
        else:
            shutil.copyfile(files[frame.file], target)


def write_frames(labels: Labels, source: Source, out: Path, crop: Rect | None = None) -> None:
    """Write the frames of a video into `out/images` as PNGs, of each only `crop` where it is given.

    Raises OSError, and InputError where the video is not the one that the labels are of.
    """
    wanted = {frame.index: frame for frame in labels.frames}
    for frame in source:
        found = wanted.pop(frame.index, None)
        if found is None:
            continue
        x, y, width, height = (
            (0, 0, *frame.size) if crop is None else (crop.x, crop.y, crop.width, crop.height)
        )
        if (width, height) != found.size:
            raise InputError(
                f"{source.name}: {width}x{height} pixels, but the run saw "
                f"{found.size[0]}x{found.size[1]}; give the video that was run on"
            )
        target = out / "images" / found.file
        target.parent.mkdir(parents=True, exist_ok=True)
        picture = frame.to_bgr()[y : y + height, x : x + width]
        target.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
        if not wanted:
            return
    if wanted:
        raise InputError(
            f"{source.name}: has no frame {min(wanted)} of the run; give the video that was run on"
        )
