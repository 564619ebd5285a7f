"""Files that a stranger may have made: regular ones alone, up to a size, and JSON without surprises."""

import json
import os
import stat
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["MAX_JSON_BYTES", "inside", "parse_json", "read_json", "read_regular"]

MAX_JSON_BYTES = 4 << 20  # a spec with the fingerprints of 170,000 images


def read_regular(path: Path, max_bytes: int) -> bytes:
    """The content of a file of at most `max_bytes`; a pipe, a device or a folder is refused unread.

    Raises OSError, and ValueError with words that follow on the file's name.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is no regular file")
        if status.st_size > max_bytes:
            raise ValueError(f"has {status.st_size:,} bytes, more than the {max_bytes:,} allowed")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(status.st_size)
    finally:
        os.close(handle)


def inside(path: Path, folder: Path) -> bool:
    """Whether `path`, with its symbolic links followed, lies in `folder`."""
    return path.resolve().is_relative_to(folder.resolve())


def read_json(path: Path) -> object:
    """The value in a JSON file of at most 4 MiB; raises OSError and ValueError, as read_regular does."""
    return parse_json(read_regular(path, MAX_JSON_BYTES).decode("utf-8"))


def parse_json(text: str) -> object:
    """Decode JSON; raise ValueError for great depth, a key given twice, and numbers that JSON has not."""
    try:
        value: object = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("its values are nested too deeply") from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number in JSON")
