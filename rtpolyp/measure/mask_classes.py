"""Masks in several colours: all are read as polyp, and that is said before anything is scored or learnt."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from rtpolyp.imaging.image_file import may_have_colours
from rtpolyp.imaging.mask_file import read_mask_file

__all__ = ["classes_in", "say_classes"]

log = logging.getLogger(__name__)

SPECK = 1e-4  # of the picture; fewer pixels of a colour are a slip of the brush, or JPEG's


def say_classes(found: Iterable[str]) -> list[str]:
    """The colours of a data set's masks, once and sorted; a warning where there are several."""
    classes = sorted(set(found))
    if len(classes) > 1:
        log.warning(
            "masks in %s: each colour may be a class, and all are taken as polyp; python -m train.prepare "
            "--polyp-classes makes a data set of some",
            _listed(classes),
        )
    return classes


def classes_in(file: Path) -> list[str]:
    """The colours of one mask; a file without colours is not decoded.

    Raises InputError as `read_mask_file` does.
    """
    if not may_have_colours(file):
        return []
    reading = read_mask_file(file)
    if reading.kind != "colours":
        return []
    return [name for name, count in reading.classes.items() if count >= SPECK * reading.polyp.size]


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
