"""Which files are pictures, by their names, and what each is called."""

from collections.abc import Collection
from pathlib import Path

from rtpolyp.dicom.magic import DICOM_SUFFIXES, is_dicom

__all__ = ["IMAGE_SUFFIXES", "UNREAD_SUFFIXES", "is_image_name", "stem_of", "unread_masks", "unread_pictures"]

IMAGE_SUFFIXES = frozenset(
    [
        *(".apng", ".avif", ".bmp", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm"),
        *(".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp", *DICOM_SUFFIXES),
    ]
)
# Pictures that people have and this reader does not read: they are named, never left out in silence.
UNREAD_SUFFIXES = frozenset(
    [
        *(".arw", ".cr2", ".cr3", ".dds", ".dng", ".eps", ".exr", ".hdr", ".heic", ".heif", ".ico", ".jls"),
        *(".jxl", ".jxr", ".mat", ".mpo", ".nef", ".nii", ".npy", ".pcx", ".pdf", ".psd", ".raw", ".rw2"),
        *(".sgi", ".svg", ".tga", ".xcf"),
    ]
)
DIRECTORY = "DICOMDIR"  # a table of other files


def is_image_name(path: Path) -> bool:
    """Whether a file is an image by its name: no hidden file, such as `._a.jpg` of a Mac.

    DICOM files often have no extension: of a name that says nothing, the file's magic decides.
    """
    if path.name.startswith(".") or path.name.upper() == DIRECTORY:
        return False
    return path.suffix.lower() in IMAGE_SUFFIXES or is_dicom(path)


def stem_of(path: Path) -> str:
    """An image's name without its extension; what follows the last point of a UID is none."""
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name


def unread_pictures(folder: Path) -> list[Path]:
    """The files of a folder that are pictures of kinds that are not read, sorted."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in UNREAD_SUFFIXES and not path.name.startswith(".")
    )


def unread_masks(folder: Path, names: Collection[str]) -> dict[str, Path]:
    """The files of a folder that have an image's name but are no pictures, such as arrays, by that name."""
    return {
        path.stem: path
        for path in sorted(folder.iterdir())
        if path.stem in names and not is_image_name(path) and path.suffix.lower() not in UNREAD_SUFFIXES
    }
