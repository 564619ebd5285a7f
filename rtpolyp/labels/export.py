"""export_labels: labels as the files of a labelling tool, in a folder that appears whole or not at all."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rtpolyp.checks import require_choice, require_number
from rtpolyp.errors import InputError, OutputError
from rtpolyp.labels.coco_file import write_coco
from rtpolyp.labels.cvat_file import write_cvat
from rtpolyp.labels.labelme_files import write_labelme
from rtpolyp.labels.mask_files import write_masks
from rtpolyp.labels.model import Labels
from rtpolyp.labels.yolo_files import write_yolo

__all__ = ["FORMATS", "export_labels", "new_folder"]

WRITERS: dict[str, Callable[[Labels, Path], None]] = {
    "coco": write_coco,
    "cvat": write_cvat,
    "labelme": write_labelme,
    "yolo-seg": write_yolo,
    "masks": write_masks,
}
FORMATS = tuple(WRITERS)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `out` unless the body raises.

    Raises OutputError where `out` holds something already, and where something cannot be written.
    """
    target = out.resolve()
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise OutputError(f"{out}: is there already, and not an empty folder; choose another -o")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as work:
            staging = Path(work) / "new"
            staging.mkdir()
            yield staging
            os.replace(staging, target)
    except OSError as exc:
        raise OutputError(f"{out}: cannot be written ({exc.strerror}); choose another -o") from exc


def export_labels(labels: Labels, form: str, out: Path, *, every: int = 1) -> Labels:
    """Write `labels` into the folder `out` in one of FORMATS; return the frames whose pictures belong to it.

    With `every` = N, only each N-th frame is written; of a CVAT track all are, and each N-th is a keyframe.
    Raises InputError for another format, for an `every` that leaves no frame, and where a mask needs a
    library that is not installed; OSError where `out` cannot be written.
    """
    require_choice("format", form, FORMATS)
    require_number("every", every, least=1, example="a whole number such as 5")
    if form == "cvat" and labels.is_sequence:
        write_cvat(labels, out, every)
        return labels
    chosen = replace(labels, frames=tuple(frame for frame in labels.frames if frame.index % every == 0))
    if not chosen.frames:
        raise InputError(
            f" {every}: leaves no frame of {labels.source}; give a smaller one", parameter="every"
        )
    WRITERS[form](chosen, out)
    return chosen
