"""Folders that appear whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rtpolyp.errors import OutputError

__all__ = ["published"]


@contextmanager
def published(folder: Path, mark: str) -> Iterator[Path]:
    """A folder to write into, which takes the place of `folder` unless the body raises.

    `mark` is the file that tells an earlier result, which is replaced. Raises OutputError where `folder`
    holds something else, and where something cannot be written.
    """
    target = folder.resolve()
    try:
        if target.exists() and not (target / mark).is_file() and any(target.iterdir()):
            raise OutputError(f"{folder}: holds something that has no {mark}; choose another folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as work:
            staging = Path(work) / "new"
            staging.mkdir()
            yield staging
            if target.exists():
                os.replace(target, Path(work) / "earlier")
            os.replace(staging, target)
    except OSError as exc:
        raise OutputError(
            f"{folder}: cannot be written ({exc}); free space or choose another folder"
        ) from exc
