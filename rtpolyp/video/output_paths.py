"""Checks that all sinks make before they write anything."""

from pathlib import Path

from rtpolyp.errors import InputError, OutputError
from rtpolyp.video.contract import Source
from rtpolyp.video.file_faults import write_error
from rtpolyp.video.image_files import ImageFiles

__all__ = ["prepare_file", "prepare_folder"]


def prepare_file(path: Path, source: Source | None = None) -> None:
    """Make sure that a file can be put at `path`.

    Raises OutputError when its folder is missing or `path` is a folder, InputError when it is the source.
    """
    try:
        if path.is_dir():
            raise OutputError(f"{path}: is a folder; give the name of a file in it")
        if not path.parent.is_dir():
            raise OutputError(f"{path}: no folder {path.parent}; create it or give another one")
        path.exists()
    except OSError as exc:  # a folder that may not be entered, or a name that is too long
        raise write_error(path, exc) from exc
    if source is not None and source.path is not None and path.exists() and path.samefile(source.path):
        raise InputError(f"{path}: output and input are the same file; give another output")


def prepare_folder(folder: Path, source: Source) -> None:
    """Create `folder`; raise OutputError when that fails, InputError when images are read from there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise write_error(folder, exc) from exc
    if isinstance(source, ImageFiles):
        inputs = {file.resolve().parent for file in source.files}
        for name in source.names:
            if (folder / name).resolve().parent in inputs:
                raise InputError(f"{folder}: output and input are the same folder; give another output")
