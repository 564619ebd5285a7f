"""YOLO-seg files, as Ultralytics reads them: `labels/NAME.txt`, and `data.yaml` with the names of classes.

A line is a class and the polygon's points in parts of the picture's width and height. An empty file says that
the picture shows no polyp. https://docs.ultralytics.com/datasets/segment/
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from rtpolyp.bounded_files import read_regular
from rtpolyp.errors import InputError
from train.prepare.drawing import MAX_FILE_BYTES, Drawing, Drawings, Shape, check_size, ring_of

__all__ = ["read_yolo"]

MAX_YAML_BYTES = 1 << 18  # of data.yaml


def read_yolo(folder: Path, paths: Sequence[Path], images: Mapping[str, Path]) -> Drawings:
    """Image stem → what was drawn, or what is wrong with it, of the text files `paths`.

    `images` are the pictures by stem, whose sizes are needed. Raises InputError where `folder/data.yaml` is
    there and has no names of classes.
    """
    names = _names(folder / "data.yaml")
    drawings: Drawings = {}
    for path in paths:
        if path.stem not in images:
            drawings[path.stem] = Drawing(1, 1, ())  # told as an annotation without an image
            continue
        try:
            width, height = _size(images[path.stem])
            lines = read_regular(path, MAX_FILE_BYTES).decode("utf-8").splitlines()
            shapes = tuple(_shape(line, names, (width, height)) for line in lines if line.strip())
        except InputError as exc:
            drawings[path.stem] = f"{path.name}: {exc}"
        except (OSError, ValueError) as exc:
            drawings[path.stem] = f"{path.name}: no lines of YOLO-seg ({exc}). Export it again"
        else:
            drawings[path.stem] = Drawing(width, height, shapes)
    return drawings


def _shape(line: str, names: Mapping[str, str] | None, size: tuple[int, int]) -> Shape:
    number, *values = line.split()
    if len(values) == 4:
        raise InputError("a box is no outline. Export YOLO segmentation, not detection")
    if names is not None and number not in names:
        raise InputError(f"class {number} is not in data.yaml. Export both again")
    points = np.array(values, np.float64)
    if points.size < 6 or points.size % 2 or not np.isfinite(points).all() or np.abs(points).max() > 2:
        raise InputError("no polygon of three points or more in parts of the picture. Export it again")
    return Shape(number if names is None else names[number], ring_of(points.reshape(-1, 2) * size))


def _names(path: Path) -> dict[str, str] | None:
    """Class → its name; None without a file."""
    if not path.is_file():
        return None
    try:
        content: Any = yaml.safe_load(read_regular(path, MAX_YAML_BYTES).decode("utf-8"))
        names = content["names"]
        pairs = dict(names.items() if isinstance(names, dict) else enumerate(names))
        if not all(isinstance(one, str | int) for pair in pairs.items() for one in pair):
            raise ValueError("a name that is no text")  # a list of lists, whose text may be endless
        return {str(number): str(name) for number, name in pairs.items()}
    except (OSError, ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError) as exc:
        reason = str(exc).splitlines()[0] if str(exc) else repr(exc)
        raise InputError(f"{path}: no names of classes in it ({reason}). Export it again") from exc


def _size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            size: tuple[int, int] = image.size
    except Exception as exc:  # whatever a decoder raises on foreign bytes
        raise InputError(f"{path.name} is not a readable image. Copy or export it again") from exc
    check_size(*size)
    return size
