"""YOLO-seg, as Ultralytics reads it: `labels/NAME.txt` with a line for each polyp, and `data.yaml`.

A line is the class and the polygon's points in parts of the picture's width and height. The format has no
holes and no tracks: holes hang on a slit of no width, which a filling by the even-odd rule does not show.
A frame without a polyp has an empty file.
"""

import json
from pathlib import Path

from rtpolyp.imaging.mask_outline import join_holes
from rtpolyp.labels.model import CATEGORY, LabelledFrame, Labels, Region

__all__ = ["write_yolo"]


def write_yolo(labels: Labels, out: Path) -> None:
    """Write `out/labels/NAME.txt` and `out/data.yaml`."""
    for frame in labels.frames:
        path = out / "labels" / f"{frame.stem}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [_line(frame, region) + "\n" for region in frame.regions]
        path.write_text("".join(lines), encoding="utf-8")
    source = json.dumps(labels.source)  # a quoted string of YAML, too
    content = f"# polyps in {source}, exported by rtpolyp\npath: .\ntrain: images\nval: images\n"
    (out / "data.yaml").write_text(f"{content}nc: 1\nnames:\n  0: {CATEGORY}\n", encoding="utf-8")


def _line(frame: LabelledFrame, region: Region) -> str:
    points = join_holes(region.outline) / frame.size
    return "0 " + " ".join(f"{value:.6f}" for value in points.ravel())
