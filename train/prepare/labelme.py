"""LabelMe files: a JSON file beside each picture, of `labelme` (https://github.com/wkentaro/labelme).

Polygons, circles and masks are read. A file without a shape says that the picture shows no polyp.
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rtpolyp.bounded_files import parse_json, read_regular
from rtpolyp.errors import InputError
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

__all__ = ["read_labelme"]

ARC = np.linspace(0, 2 * np.pi, 180, endpoint=False)
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"  # after which come width and height


def read_labelme(paths: Sequence[Path]) -> Drawings:
    """Image stem → what was drawn, or what is wrong with it."""
    drawings: Drawings = {}
    for path in paths:
        try:
            content: Any = parse_json(read_regular(path, MAX_FILE_BYTES).decode("utf-8"))
            width, height = int(content["imageWidth"]), int(content["imageHeight"])
            check_size(width, height)
            shapes = tuple(_shape(entry, (width, height)) for entry in content["shapes"])
        except InputError as exc:
            drawings[path.stem] = f"{path.name}: {exc}"
        except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError, cv2.error) as exc:
            drawings[path.stem] = f"{path.name}: not a file of LabelMe ({exc!r}). Save it in LabelMe again"
        else:
            drawings[path.stem] = Drawing(width, height, shapes)
    return drawings


def _shape(entry: dict[str, Any], size: tuple[int, int]) -> Shape | Patch:
    label, kind, points = str(entry["label"]), entry.get("shape_type") or "polygon", entry["points"]
    if kind == "polygon":
        return Shape(label, ring_of(points))
    if kind == "circle":
        centre, edge = (np.array(point, np.float64) for point in points)
        radius = float(np.linalg.norm(edge - centre))
        return Shape(label, ring_of(centre + radius * np.stack([np.cos(ARC), np.sin(ARC)], axis=1)))
    if kind == "mask":
        # a PNG tells its size in its head: one that is larger than its picture is not decoded
        png = base64.b64decode(entry["mask"], validate=True)
        if not png.startswith(PNG):
            raise InputError("a mask that is no PNG. Draw it again, or delete it")
        width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
        if width > size[0] or height > size[1]:
            raise InputError(f"a mask of {width}x{height} pixels, larger than its picture. Draw it again")
        pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
        if pixels is None:
            raise InputError("a mask that cannot be decoded. Draw it again, or delete it")
        left, top = (round(float(value)) for value in points[0])
        return patch_of(label, np.asarray(pixels) > 0, left, top)
    raise InputError(f"a {kind} is no outline. Draw a polygon or a mask, or delete it")
