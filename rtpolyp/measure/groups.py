"""groups.csv: which frames belong together – of a patient, a sequence, or near-duplicates.

One table for `python -m train.prepare`, `rtpolyp eval` and training, in any of these forms, with commas,
semicolons or tabs, with or without a byte-order mark, as spreadsheets write them:

    file,patient            an image's file name, or its stem
    stem,family,group       what prepare writes; a family has a row of its own in the report
    source,stem,family,group    of several data sets, `source` being a folder's name
    frame,sequence_id       sequences.csv of CVC-ClinicDB: sequences are families too
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rtpolyp.errors import InputError
from rtpolyp.imaging.picture_names import stem_of
from rtpolyp.printable import from_cell

__all__ = ["Group", "read_groups"]

DELIMITERS = ",;\t"
FRAME = ("file", "stem", "frame")  # the column that names the frame
GROUP = ("patient", "group", "sequence_id")  # the column that says what it belongs to


class Group(NamedTuple):
    """What a frame belongs to."""

    name: str  # frames of one group resemble each other; "" where the table leaves it open
    family: str  # the part that has a row of its own in the report: hospital or sequence; "" without one


def read_groups(path: Path, source: str | None = None) -> dict[str, Group]:
    """Frame name (an image's stem) → its group; with a column `source`, of that data set's rows alone.

    Raises InputError where the file cannot be read, its columns are of none of the forms above, or a frame
    stands in two groups.
    """
    header, rows = _read_table(path)
    frame = next((column for column in FRAME if column in header), None)
    group = next((column for column in GROUP if column in header), None)
    if frame is None or group is None:
        found = ", ".join(header) or "none"
        raise InputError(f"{path}: columns {found}; write file,patient in its first line")
    groups: dict[str, Group] = {}
    for row in rows:
        if "source" in row and source is not None and row["source"] != source:
            continue
        name = _stem(row[frame]) if frame == "file" else row[frame]
        belongs = Group(row[group], row.get("family", ""))
        if group == "sequence_id":
            belongs = Group(f"sequence {row[group]}", f"sequence {row[group]}")
        if groups.setdefault(name, belongs) != belongs:
            raise InputError(
                f"{path}: {name} is of {groups[name].name} and of {belongs.name}; keep one of the lines"
            )
    return groups


def _read_table(path: Path) -> tuple[Sequence[str], list[dict[str, str]]]:
    """The columns' names, in lower case, and the rows, all stripped of spaces."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{path}: not a table in UTF-8 ({exc}); save it as CSV UTF-8") from exc
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    try:
        lines = [line for line in csv.reader(text.splitlines(), delimiter=delimiter) if any(line)]
    except csv.Error as exc:
        raise InputError(f"{path}: not a table ({exc}); save it as CSV UTF-8") from exc
    if not lines:
        raise InputError(f"{path}: is empty; write file,patient in its first line")
    header = [cell.strip().lower() for cell in lines[0]]
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if len(line) < len(header):
            raise InputError(f"{path}: row {number} has {len(line)} of {len(header)} columns; complete it")
        rows.append(dict(zip(header, (from_cell(cell.strip()) for cell in line), strict=False)))
    return header, rows


def _stem(name: str) -> str:
    """An image's stem, of its file name with or without a folder; of a stem with dots, all of it."""
    base = name.replace("\\", "/").rpartition("/")[2]
    return stem_of(Path(base))
