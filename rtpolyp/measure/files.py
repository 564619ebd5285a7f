"""Text and JSON written to a file, or one line that says why not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rtpolyp.errors import OutputError

__all__ = ["write_file", "write_json", "write_text"]


def write_json(content: dict[str, Any], path: Path) -> None:
    """Write `content`, as `to_dict` gives it; raises OutputError when the file cannot be written."""
    write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Write `text` in UTF-8; raises OutputError when the file cannot be written."""
    write_file(path, lambda path: path.write_text(text, encoding="utf-8"))


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` write it; raises OutputError when that fails."""
    try:
        write(path)
    except OSError as exc:
        raise OutputError(f"{path}: cannot be written ({exc.strerror}); choose another place") from exc
