"""The manifest: what a batch's folder was begun with, so that a later run goes on with the same."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rtpolyp.batch.job import Job
from rtpolyp.batch.storage import Storage
from rtpolyp.batch.tables import TABLES_SCHEMA
from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect

__all__ = ["agree_on_manifest", "read_manifest"]

NAME = "manifest.json"
PROGRAM = "rtpolyp"  # the version that began; a later one may go on


def read_manifest(storage: Storage) -> dict[str, Any] | None:
    """The manifest of a folder, None where there is none yet.

    Raises InputError for one of another schema, and for what is none.
    """
    if not storage.has(NAME):
        return None
    place = storage.path(NAME)
    try:
        found = json.loads(storage.read(NAME))
        schema = found["schema"]
    except (ValueError, TypeError, KeyError) as exc:
        raise InputError(f"{place}: no manifest of rtpolyp batch; give another -o") from exc
    if schema != TABLES_SCHEMA:
        raise InputError(
            f"{place}: is of schema {schema}, and this version writes {TABLES_SCHEMA}; give another -o"
        )
    return dict(found)


def agree_on_manifest(storage: Storage, job: Job, engine: Mapping[str, str]) -> None:
    """Write the manifest of a job whose workers have `engine`; where there is one, check that it is the same.

    Raises InputError where rows of two engines or settings would stand side by side.
    """
    crop = asdict(job.crop) if isinstance(job.crop, Rect) else job.crop
    wanted = {"schema": TABLES_SCHEMA, **engine, "crop": crop, "chunk_seconds": job.chunk_seconds}
    known = read_manifest(storage)
    if known is None:
        storage.write(NAME, (json.dumps(wanted, indent=1) + "\n").encode())
        return
    for name, value in wanted.items():
        if name != PROGRAM and known.get(name) != value:
            raise InputError(
                f"{storage.path(NAME)}: was begun with {name} {known.get(name)}, and this run has {value}; "
                "run with the same, or give another -o"
            )
