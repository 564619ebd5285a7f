"""What is said of a data set's masks before anything is scored or learnt: several colours, and doubts."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rtpolyp.imaging.image_file import may_have_colours
from rtpolyp.imaging.mask_doubts import DOUBTS, doubts_of
from rtpolyp.imaging.mask_file import Reading, read_mask_file

__all__ = ["check_masks", "classes_in", "say_classes"]

log = logging.getLogger(__name__)

SPECK = 1e-4  # of the picture; fewer pixels of a colour are a slip of the brush, or JPEG's
NAMED = 3  # files that a warning names


def check_masks(
    files: Sequence[Path], *, progress: Callable[[int, int], None] | None = None
) -> dict[str, list[str]]:
    """Read every mask, warn of what may be meant otherwise, and return it: what was found → names.

    The keys are "colours", where there are several, and those of `DOUBTS` that hold for some file. Raises
    InputError for the first mask that cannot be read.
    """
    colours: set[str] = set()
    doubtful: dict[str, list[str]] = {name: [] for name in DOUBTS}
    for done, file in enumerate(files, 1):
        reading = read_mask_file(file)
        colours.update(_classes(reading))
        for doubt in doubts_of(reading.polyp):
            doubtful[doubt].append(file.name)
        if progress is not None:
            progress(done, len(files))
    for doubt, names in doubtful.items():
        if names:
            more = " …" if len(names) > NAMED else ""
            log.warning("masks that %s (%d): %s%s", DOUBTS[doubt], len(names), ", ".join(names[:NAMED]), more)
    found = {"colours": say_classes(colours), **doubtful}
    return {what: names for what, names in found.items() if len(names) > (what == "colours")}


def say_classes(found: Iterable[str]) -> list[str]:
    """The colours of a data set's masks, once and sorted; a warning where there are several."""
    classes = sorted(set(found))
    if len(classes) > 1:
        log.warning(
            "masks in %s and %s: each colour may be a class, and all are taken as polyp; python -m "
            "train.prepare --polyp-classes makes a data set of some",
            ", ".join(classes[:-1]),
            classes[-1],
        )
    return classes


def classes_in(file: Path) -> list[str]:
    """The colours of one mask; a file without colours is not decoded.

    Raises InputError as `read_mask_file` does.
    """
    return _classes(read_mask_file(file)) if may_have_colours(file) else []


def _classes(reading: Reading) -> list[str]:
    if reading.kind != "colours":
        return []
    return [name for name, count in reading.classes.items() if count >= SPECK * reading.polyp.size]
