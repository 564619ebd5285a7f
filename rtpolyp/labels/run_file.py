"""Labels of a run: what `rtpolyp run --json` wrote."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from rtpolyp.errors import InputError
from rtpolyp.imaging.image_file import MAX_PIXELS
from rtpolyp.imaging.mask_outline import Outline
from rtpolyp.labels.model import LabelledFrame, Labels, Region

__all__ = ["read_run"]

MOST_BYTES = 8 << 20  # of one line; a frame with a hundred polyps takes 0.2 MiB


def read_run(path: Path, pictures: dict[str, tuple[str, tuple[int, int] | None]] | None = None) -> Labels:
    """Read JSON lines of `rtpolyp run`.

    `pictures` gives the file and, where it is known, the size (width, height) of each frame by its name; by
    default files are called NAME.png, and sizes are those in the lines. Raises InputError where the file is
    none of `rtpolyp run`, a line is broken, or a picture is missing or its size not known.
    """
    lines = _lines(path)
    number, header = next(lines, (0, {}))
    if "schema" not in header:
        raise InputError(f"{path}: not JSON lines of rtpolyp run; make them: rtpolyp run VIDEO --json {path}")
    common = header.get("size")
    frames = []
    for number, line in lines:
        if "polyps" not in line:
            continue  # the summary, or a change of settings
        try:
            name = _name(line["name"])
            file, known = (f"{name}.png", None) if pictures is None else pictures.get(name, ("", None))
            size = _size(line.get("size") or common or known)
            if not file:
                raise InputError(f"{path}: no picture of frame {name}; give those that were run on")
            regions = tuple(_region(polyp, size) for polyp in line["polyps"])
            frames.append(LabelledFrame(int(line["index"]), file, size, regions))
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as exc:
            raise InputError(f"{path}: line {number}: no frame of rtpolyp run ({exc}); run it again") from exc
    if not frames:
        raise InputError(f"{path}: no frame in it, nothing to export; run it again")
    return Labels(str(header.get("source", path.stem)), common is not None, tuple(frames))


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    try:
        with path.open("rb") as file:
            for number, text in enumerate(iter(partial(file.readline, MOST_BYTES), b""), 1):
                line = json.loads(text)  # of a longer line the beginning, which is no JSON
                if not isinstance(line, dict):
                    raise ValueError("not an object")
                yield number, line
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder without images/ and masks/; give a run's JSON lines") from None
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror}); give a run's JSON lines") from exc
    except (ValueError, RecursionError) as exc:
        raise InputError(
            f"{path}: line {number}: not JSON ({exc}); give the file that rtpolyp run --json wrote"
        ) from exc


def _name(value: Any) -> str:
    """A frame's name, by which files are called: it may lead into folders below, and nowhere else."""
    name = str(value)
    path = PurePosixPath(name.replace("\\", "/"))
    if (
        path.is_absolute()
        or ".." in path.parts
        or PureWindowsPath(name).drive
        or not name.isprintable()
        or not path.name
    ):
        raise ValueError(f"a name that no frame has: {name[:80]!r}")
    return name


def _size(value: Any) -> tuple[int, int]:
    if value is None:
        raise ValueError("the picture's size is not in it; give the pictures with --images")
    width, height = (int(side) for side in value)
    if min(width, height) < 1 or width * height > MAX_PIXELS:
        raise ValueError(f"a picture of {width}x{height} pixels")
    return width, height


def _region(polyp: dict[str, Any], size: tuple[int, int]) -> Region:
    contour = np.array(polyp["contour"], np.float32)
    if contour.ndim != 2 or contour.shape[1] != 2 or len(contour) < 3 or not np.isfinite(contour).all():
        raise ValueError("a contour without three points x, y")
    if contour.min() < 0 or (contour > size).any():
        raise ValueError("a contour outside the picture")
    track = polyp.get("track")
    return Region(Outline(contour), None if track is None else int(track), float(polyp["confidence"]))
