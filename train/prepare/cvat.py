"""CVAT files: `annotations.xml`, of images or of a video.

Format: https://docs.cvat.ai/docs/manual/advanced/xml_format/. Polygons, ellipses and masks are read; of a
track, the shapes that are not `outside`. CVAT writes the interpolated ones, too, when it exports. A video's
frame is the image whose name ends with its number, as `frame_000012.png` of CVAT and `000012.png` of
`rtpolyp export`.
"""

import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree as Xml

import numpy as np

from rtpolyp.bounded_files import read_regular
from rtpolyp.errors import InputError
from rtpolyp.imaging.run_length import decode_rows
from train.prepare.drawing import MAX_FILE_BYTES, Drawing, Drawings, Patch, Shape, check_size, ring_of

__all__ = ["read_cvat"]

NUMBER = re.compile(r"(\d+)$")
ARC = np.linspace(0, 2 * np.pi, 180, endpoint=False)  # an ellipse's points: 0.02 % of its area are lost
NO_SHAPE = {"tag", "attribute"}


def read_cvat(path: Path, stems: Collection[str]) -> Drawings:
    """Image stem → what was drawn, or what is wrong with it; images without a shape are left out.

    `stems` are the images that there are, among which a video's frames are found by their number. Raises
    InputError where the file is not CVAT's, or a frame could be two images.
    """
    try:
        root = Xml.fromstring(read_regular(path, MAX_FILE_BYTES))
    except (OSError, Xml.ParseError, ValueError) as exc:
        raise InputError(f"{path}: not an XML file of CVAT ({exc}). Export it as CVAT again") from exc
    if root.tag != "annotations":
        raise InputError(f"{path}: not an XML file of CVAT (it begins with {root.tag}). Export it as CVAT")
    drawings: Drawings = {}
    images = root.findall("image")
    for image in images:
        where = f"{path.name}: {image.get('name')}"
        try:
            stem = PurePosixPath(image.attrib["name"]).stem
            size = int(image.attrib["width"]), int(image.attrib["height"])
            check_size(*size)
        except (KeyError, ValueError) as exc:
            raise InputError(f"{path}: an image without name or size ({exc!r}). Export it again") from exc
        for entry in image:
            _add(drawings, stem, size, entry, str(entry.get("label")), where)
    if tracks := root.findall("track"):
        _read_tracks(path, root, tracks, drawings, stems)
    if not images and not tracks:
        raise InputError(f"{path}: no image and no track in it. Export it as CVAT for images, or for video")
    return drawings


def _read_tracks(
    path: Path, root: Xml.Element, tracks: list[Xml.Element], drawings: Drawings, stems: Collection[str]
) -> None:
    try:
        original = next(root.iter("original_size"))
        width, height = (int(original.findtext(side, "")) for side in ("width", "height"))
        check_size(width, height)
    except (StopIteration, ValueError) as exc:
        raise InputError(f"{path}: the video's size is not in it ({exc!r}). Export it again") from exc
    by_frame: dict[int, str] = {}
    for stem in sorted(stems):
        if (found := NUMBER.search(stem)) is None:
            continue
        if (other := by_frame.setdefault(int(found[1]), stem)) != stem:
            raise InputError(f"{path}: frame {int(found[1])} could be {other} or {stem}. Move one away")
    for track in tracks:
        name = f"{path.name}: track {track.get('id')}"
        for entry in track:
            if entry.get("outside") == "1" or entry.tag in NO_SHAPE:
                continue
            try:
                frame = int(entry.attrib["frame"])
            except (KeyError, ValueError) as exc:
                raise InputError(
                    f"{path}: {name}: a shape without a frame ({exc!r}). Export it again"
                ) from exc
            stem = by_frame.get(frame, f"frame {frame}")
            _add(drawings, stem, (width, height), entry, str(track.get("label")), f"{name}, frame {frame}")


def _add(
    drawings: Drawings, stem: str, size: tuple[int, int], entry: Xml.Element, label: str, where: str
) -> None:
    if entry.tag in NO_SHAPE:
        return
    before = drawings.get(stem, Drawing(*size, ()))
    if isinstance(before, str):
        return
    try:
        drawings[stem] = before._replace(shapes=(*before.shapes, _shape(entry, label)))
    except InputError as exc:
        drawings[stem] = f"{where}: {exc}"
    except (KeyError, ValueError, OverflowError) as exc:
        drawings[stem] = f"{where}: {entry.tag}: {exc!r}. Draw it again, or delete it"


def _shape(entry: Xml.Element, label: str) -> Shape | Patch:
    at = entry.attrib
    if entry.tag == "polygon":
        return Shape(label, ring_of([pair.split(",") for pair in at["points"].split(";")]))
    if entry.tag == "ellipse":
        cx, cy, rx, ry = (float(at[name]) for name in ("cx", "cy", "rx", "ry"))
        turn = np.deg2rad(float(at.get("rotation", 0)))
        along, across = rx * np.cos(ARC), ry * np.sin(ARC)
        x = cx + along * np.cos(turn) - across * np.sin(turn)
        return Shape(label, ring_of(np.stack([x, cy + along * np.sin(turn) + across * np.cos(turn)], axis=1)))
    if entry.tag == "mask":
        left, top, width, height = (int(float(at[name])) for name in ("left", "top", "width", "height"))
        check_size(width, height)
        runs = np.array([int(run) for run in at["rle"].split(",")], np.int64)
        decode_rows(runs, (width, height))  # raises where they do not fill the box
        return Patch(label, left, top, (width, height), runs)
    raise InputError(f"a {entry.tag} is no outline. Draw a polygon or a mask, or delete it")
