"""COCO: a file `instances_default.json` with a polygon for each polyp, or run lengths where it has holes.

The fields are those of the "object detection" format of Lin et al., "Microsoft COCO", ECCV 2014
(arXiv:1405.0312), and beside them `track_id` and `score`. The same two stand in `attributes`, where Datumaro
and CVAT keep what COCO does not know.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from rtpolyp.imaging.run_length import encode_coco
from rtpolyp.labels.model import CATEGORY, LabelledFrame, Labels, Region

__all__ = ["COCO_FILE", "write_coco"]

COCO_FILE = "annotations/instances_default.json"


def write_coco(labels: Labels, out: Path) -> None:
    """Write `out/annotations/instances_default.json`, where Datumaro and CVAT look for it."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, frame in enumerate(labels.frames, 1):
        width, height = frame.size
        images.append({"id": number, "file_name": frame.file, "width": width, "height": height})
        for region in frame.regions:
            entry = {"id": len(annotations) + 1, "image_id": number, "category_id": 1}
            annotations.append(entry | _annotation(frame, region))
    content = {
        "info": {"description": f"polyps in {labels.source}, exported by rtpolyp"},
        "licenses": [],
        "categories": [{"id": 1, "name": CATEGORY, "supercategory": ""}],
        "images": images,
        "annotations": annotations,
    }
    path = out / COCO_FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def _annotation(frame: LabelledFrame, region: Region) -> dict[str, Any]:
    mask = region.mask(frame.size)
    has_holes = bool(region.outline.holes)  # a list of polygons is their union: it cannot say "without"
    polygon = np.round(region.outline.outer.astype(np.float64), 2).ravel().tolist()
    known = {"track_id": region.track, "score": region.confidence}
    beside = {key: value for key, value in known.items() if value is not None}
    return {
        "segmentation": encode_coco(mask) if has_holes else [polygon],
        "area": int(np.count_nonzero(mask)),
        "bbox": [round(side, 2) for side in region.box],
        "iscrowd": 0,
        **beside,
        "attributes": beside,
    }
