"""Folders that appear whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rtpolyp.errors import OutputError

__all__ = ["published"]


@contextmanager
def published(folder: Path, mark: str | None = None) -> Iterator[Path]:
    """A folder to write into, which takes the place of `folder` unless the body raises.

    `mark` is the file that tells an earlier result, which is replaced; without it nothing is. Raises
    OutputError where `folder` holds something else, and where something cannot be written.
    """
    target = folder.resolve()
    try:
        is_earlier = mark is not None and (target / mark).is_file()
        if target.exists() and not is_earlier and (not target.is_dir() or any(target.iterdir())):
            found = "is there already, and not an empty folder"
            if mark is not None:
                found = f"holds something that has no {mark}"
            raise OutputError(f"{folder}: {found}; choose another folder")
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
            f"{folder}: cannot be written ({exc.strerror or exc}); free space or choose another folder"
        ) from exc
