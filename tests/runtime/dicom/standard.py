"""What the standard demands of an object, by the tables of it that highdicom carries."""

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from pydicom.dataset import Dataset

__all__ = ["faults"]


GROUPS = (["SharedFunctionalGroupsSequence"], ["PerFrameFunctionalGroupsSequence"])


@cache
def _table(name: str) -> dict:
    return json.loads((files("highdicom") / "_standard" / f"{name}.json").read_text("utf-8"))


def faults(found: Dataset, iod: str) -> list[str]:
    """Attributes of type 1 without a value, and missing ones of type 2, in the IOD's mandatory modules.

    Which functional groups an object has is its own choice; what those hold is checked.
    """
    attributes = _table("module_attribute_map")
    return [
        fault
        for module in _table("iod_module_map")[iod]
        if module["usage"] == "M"
        for attribute in attributes[module["key"]]
        if attribute["type"] in ("1", "2") and attribute["path"] not in GROUPS
        for item in _items(found, attribute["path"])
        if (fault := _fault(item, attribute["keyword"], attribute["type"]))
    ]


def _items(found: Dataset, path: list[str]) -> Iterator[Dataset]:
    """The datasets that a path of sequences leads to."""
    if not path:
        yield found
        return
    for item in found.get(path[0]) or []:
        yield from _items(item, path[1:])


def _fault(item: Dataset, keyword: str, kind: str) -> str | None:
    if keyword not in item:
        return f"{keyword}: missing"
    if kind == "1" and item[keyword].is_empty:
        return f"{keyword}: empty"
    return None
