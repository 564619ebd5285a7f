"""COCO files: `annotations.json`, or `annotations/instances_*.json` as Datumaro and CVAT write them.

Lin et al., "Microsoft COCO", ECCV 2014 (arXiv:1405.0312); the fields are those of its "object detection"
format, with polygons, and with run-length encoded masks, compressed or not.
"""

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from rtpolyp.bounded_files import parse_json, read_regular
from rtpolyp.errors import InputError
from rtpolyp.imaging.run_length import decode_coco
from train.prepare.drawing import (
    MAX_FILE_BYTES,
    Drawing,
    Drawings,
    Patch,
    Shape,
    check_size,
    patch_of,
    ring_of,
)

__all__ = ["read_coco"]


def read_coco(path: Path) -> Drawings:
    """Image stem → what was drawn, or what is wrong with it; images without an annotation are left out.

    Raises InputError where the file is not COCO.
    """
    try:
        content: Any = parse_json(read_regular(path, MAX_FILE_BYTES).decode("utf-8"))
        images = {image["id"]: image for image in content["images"]}
        categories = {category["id"]: str(category["name"]) for category in content["categories"]}
        annotations = [(entry["image_id"], dict(entry)) for entry in content["annotations"]]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(
            f"{path}: not a COCO file with images, annotations and categories ({exc!r}). Export it as COCO"
        ) from exc
    drawings: Drawings = {}
    for image_id, entry in annotations:
        try:
            image = images[image_id]
            stem = PurePosixPath(image["file_name"]).stem
            width, height = int(image["width"]), int(image["height"])
            check_size(width, height)
            shapes = _shapes(entry, categories, (width, height))
            before = drawings.get(stem, Drawing(width, height, ()))
        except InputError as exc:
            drawings[stem] = f"{path.name}: annotation {entry.get('id')}: {exc}"
        except (KeyError, TypeError, ValueError, OverflowError) as exc:
            raise InputError(
                f"{path}: annotation {entry.get('id')}: {exc!r}. Export it as COCO again"
            ) from exc
        else:
            if isinstance(before, Drawing):
                drawings[stem] = before._replace(shapes=(*before.shapes, *shapes))
    return drawings


def _shapes(entry: dict[str, Any], categories: dict[Any, str], size: tuple[int, int]) -> list[Shape | Patch]:
    segmentation, category = entry["segmentation"], categories[entry["category_id"]]
    if isinstance(segmentation, dict):
        return [patch_of(category, decode_coco(segmentation, size))]
    rings = [ring_of(np.array(ring, np.float64).ravel()) for ring in segmentation]
    if not rings:
        raise InputError("no polygon of at least three points. Draw it again, or delete it")
    return [Shape(category, ring) for ring in rings]
