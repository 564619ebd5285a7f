"""LabelMe: a JSON file beside each picture, with a polygon for each polyp, or a mask where it has holes.

Format: `labelme` (https://github.com/wkentaro/labelme) from version 5.3 on, which has shapes of type mask.
The track is the shape's `group_id`.
"""

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rtpolyp.labels.model import CATEGORY, LabelledFrame, Labels, Region

__all__ = ["write_labelme"]

VERSION = "5.3.0"  # of the format


def write_labelme(labels: Labels, out: Path) -> None:
    """Write `out/images/NAME.json`."""
    for frame in labels.frames:
        path = out / "images" / f"{frame.stem}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        content: dict[str, Any] = {
            "version": VERSION,
            "flags": {},
            "shapes": [_shape(frame, region) for region in frame.regions],
            "imagePath": frame.file.rpartition("/")[2],
            "imageData": None,
            "imageHeight": frame.size[1],
            "imageWidth": frame.size[0],
        }
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _shape(frame: LabelledFrame, region: Region) -> dict[str, Any]:
    common: dict[str, Any] = {"label": CATEGORY, "group_id": region.track, "description": "", "flags": {}}
    if not region.outline.holes:
        points = np.round(region.outline.outer.astype(np.float64), 2).tolist()
        return {**common, "points": points, "shape_type": "polygon", "mask": None}
    mask = region.mask(frame.size)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    corners = [(columns[0], rows[0]), (columns[-1], rows[-1])]  # LabelMe's last pixel is inside
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    png = cv2.imencode(".png", cut.astype(np.uint8) * 255)[1]
    return {
        **common,
        "points": [[float(x), float(y)] for x, y in corners],
        "shape_type": "mask",
        "mask": base64.b64encode(png.tobytes()).decode("ascii"),
    }
