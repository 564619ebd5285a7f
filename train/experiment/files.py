"""Files that are whole or absent."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rtpolyp.errors import InputError, OutputError

__all__ = ["read_json", "replace_file", "replace_text", "write_compact_json"]


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, on disk for good, and give it that name.

    Missing folders are made. Raises OutputError where something cannot be written.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(beside)
        with beside.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(beside, path)
    except OSError as exc:
        raise OutputError(
            f"{path}: cannot be written ({exc.strerror}). Free space or choose another -o"
        ) from exc
    finally:
        beside.unlink(missing_ok=True)  # of a failure, or of a signal in between


def replace_text(path: Path, text: str) -> None:
    """`replace_file` with `text` in UTF-8."""
    replace_file(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def write_compact_json(content: Mapping[str, Any], path: Path) -> None:
    """Replace `path` by `content`, a line for each of its keys."""
    lines = (f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in content.items())
    replace_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def read_json(path: Path, schema: int, what: str) -> dict[str, Any]:
    """The object in a file whose "schema" is that number; `what` names it in errors.

    Raises InputError for a broken or foreign file.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = content["schema"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(f"{path}: not {what} ({exc!r}). Delete it, to make it again") from exc
    if found != schema:
        raise InputError(f"{path}: schema {found}, this version reads {schema}. Delete it, to make it again")
    return content
