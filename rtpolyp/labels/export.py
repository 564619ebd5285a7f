"""export_labels: labels as the files of a labelling tool."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rtpolyp.checks import require_choice, require_number
from rtpolyp.errors import InputError
from rtpolyp.labels.coco_file import write_coco
from rtpolyp.labels.cvat_file import write_cvat
from rtpolyp.labels.labelme_files import write_labelme
from rtpolyp.labels.mask_files import write_masks
from rtpolyp.labels.model import Labels
from rtpolyp.labels.yolo_files import write_yolo

__all__ = ["FORMATS", "export_labels"]

WRITERS: dict[str, Callable[[Labels, Path], None]] = {
    "coco": write_coco,
    "cvat": write_cvat,
    "labelme": write_labelme,
    "yolo-seg": write_yolo,
    "masks": write_masks,
}
FORMATS = tuple(WRITERS)


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
