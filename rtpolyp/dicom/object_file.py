"""Writing an object: its header by pydicom, its pixels copied behind it from a file of any length."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from struct import pack

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID

from rtpolyp.dicom.header import quiet

__all__ = ["MOST_BYTES", "write_object"]

PIXEL_DATA = b"\xe0\x7f\x10\x00OB\x00\x00"
ITEM, END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
UNDEFINED = 0xFFFFFFFF
MOST_BYTES = UNDEFINED - 1  # of a value or a fragment


def write_object(path: Path, make: Callable[[], Dataset], syntax: UID, pixels: Path, *, source: Path) -> None:
    """Write the object that `make` gives without pixels, and the content of `pixels` as its own.

    It appears whole or not at all. A compressed syntax gets a single fragment; `pixels` has at most
    MOST_BYTES. Raises OSError, and InputError where the header of `source`, of which it is made, allows none.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w+b") as file, pixels.open("rb") as content:
            with quiet(source, "a header of which no object can be made"):
                header = make()
                header.file_meta = FileMetaDataset()
                header.file_meta.TransferSyntaxUID = syntax
                dcmwrite(file, header, enforce_file_format=True)
            file.seek(0, os.SEEK_END)
            length = os.fstat(content.fileno()).st_size
            if syntax.is_encapsulated:  # an empty table of offsets, then the fragment
                begin = pack("<I", UNDEFINED) + ITEM + pack("<I", 0) + ITEM
                file.write(PIXEL_DATA + begin + pack("<I", length + length % 2))
            else:
                file.write(PIXEL_DATA + pack("<I", length + length % 2))
            shutil.copyfileobj(content, file, 1 << 20)
            file.write(b"\0" * (length % 2))
            if syntax.is_encapsulated:
                file.write(END + pack("<I", 0))
        os.replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
