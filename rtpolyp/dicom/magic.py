"""Which files are DICOM, whatever their name; works without the extra."""

import stat
from importlib.util import find_spec
from pathlib import Path

from rtpolyp.errors import InputError

__all__ = ["DICOM_SUFFIXES", "is_dicom", "require_dicom"]

DICOM_SUFFIXES = (".dcm", ".dicom")
PREAMBLE = 128  # bytes of anything before the magic
MAGIC = b"DICM"
LIBRARIES = ("pydicom", "highdicom", "dicomanonymizer")


def is_dicom(path: Path) -> bool:
    """Whether a regular file holds DICOM's magic; its name does not matter, and often says nothing."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False  # a pipe would lose what is read
        with path.open("rb") as file:
            return file.read(PREAMBLE + len(MAGIC))[PREAMBLE:] == MAGIC
    except (OSError, ValueError):
        return False


def require_dicom(path: Path) -> None:
    """Raise InputError where a library of the extra is missing."""
    if any(find_spec(name) is None for name in LIBRARIES):
        raise InputError(
            f"{path}: DICOM needs pydicom and highdicom. Install them: pip install 'rtpolyp[dicom]'"
        )
