"""Polygons of a COCO file (`annotations.json`) as masks.

Lin et al., "Microsoft COCO", ECCV 2014 (arXiv:1405.0312); the fields are those of its "object detection"
format. Run-length encoded masks are refused: no labelling tool that draws polygons needs them.
"""

import json
from collections.abc import Set
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import cv2
import numpy as np

from rtpolyp.errors import InputError
from rtpolyp.imaging.image_file import MAX_PIXELS
from rtpolyp.imaging.mask_file import Reading

__all__ = ["Drawing", "draw", "read_coco"]

FINER = (
    4  # polygons are drawn this much larger: fillPoly adds a rim of half a pixel, 20 % of a disc of radius 6
)


FARTHEST = 1e5  # pixels from the corner, of a polygon's point


class Shape(NamedTuple):
    """One polygon."""

    category: str
    ring: np.ndarray  # (P, 2) float64, x and y in pixels; (0, 0) is the corner of the first pixel


class Drawing(NamedTuple):
    """All polygons of an image, and the size that they were drawn for."""

    width: int  # pixels
    height: int
    shapes: tuple[Shape, ...]


def read_coco(path: Path) -> dict[str, Drawing | str]:
    """Image stem → its polygons, or what is wrong with them; images without an annotation are left out.

    Raises InputError where the file is not COCO.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        images = {image["id"]: image for image in content["images"]}
        categories = {category["id"]: str(category["name"]) for category in content["categories"]}
        annotations = [(entry["image_id"], dict(entry)) for entry in content["annotations"]]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(
            f"{path}: not a COCO file with images, annotations and categories ({exc!r}). Export it as COCO"
        ) from exc
    drawings: dict[str, Drawing | str] = {}
    for image_id, entry in annotations:
        try:
            image = images[image_id]
            stem = PurePosixPath(image["file_name"]).stem
            shapes = tuple(_shapes(entry, categories))
            width, height = int(image["width"]), int(image["height"])
            if min(width, height) < 1 or width * height > MAX_PIXELS:
                raise ValueError(f"an image of {width}x{height} pixels")
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


def draw(drawing: Drawing, chosen: Set[str] = frozenset()) -> Reading:
    """The mask of a drawing; `chosen` are the categories that are polyp, all where it is empty."""
    size = drawing.height, drawing.width
    polyp = np.zeros(size, bool)
    classes: dict[str, int] = {}
    for category, ring in drawing.shapes:
        left, top = np.maximum(np.floor(ring.min(axis=0)).astype(int), 0)
        right, bottom = np.minimum(np.ceil(ring.max(axis=0)).astype(int), size[::-1])
        if right <= left or bottom <= top:
            continue  # wholly outside the image
        box = np.zeros(((bottom - top) * FINER, (right - left) * FINER), np.uint8)
        fine = np.round((ring - (left, top)) * FINER - 0.5).astype(np.int32)
        cv2.fillPoly(box, [fine], 255)
        inside = cv2.resize(box, (right - left, bottom - top), interpolation=cv2.INTER_AREA) > 127
        classes[category] = classes.get(category, 0) + int(np.count_nonzero(inside))
        if not chosen or category in chosen:
            polyp[top:bottom, left:right] |= inside
    return Reading(polyp, "polygons", classes)


def _shapes(entry: dict[str, Any], categories: dict[Any, str]) -> list[Shape]:
    segmentation = entry["segmentation"]
    if isinstance(segmentation, dict):
        raise InputError("a run-length encoded mask (RLE), only polygons are read. Export polygons, or masks")
    rings = [np.array(ring, np.float64) for ring in segmentation]
    if any(not np.isfinite(ring).all() or np.abs(ring).max(initial=0) > FARTHEST for ring in rings):
        raise InputError("a polygon with a point that is nowhere near an image. Draw it again, or delete it")
    if not rings or any(ring.ndim != 1 or len(ring) < 6 or len(ring) % 2 for ring in rings):
        raise InputError("no polygon of at least three points. Draw it again, or delete it")
    return [Shape(categories[entry["category_id"]], ring.reshape(-1, 2)) for ring in rings]
