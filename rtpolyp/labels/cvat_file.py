"""CVAT: `annotations.xml`, "CVAT for video 1.1" of a run on a video, "CVAT for images 1.1" of images.

Format: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/. A track has a shape in each frame
of its own, and one that is `outside` where it ends; between keyframes they are what CVAT itself would write
when it exports interpolated frames, and what it leaves out when it imports them.
"""

import itertools
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.run_length import encode_rows
from rtpolyp.labels.model import CATEGORY, LabelledFrame, Labels, Region

__all__ = ["write_cvat"]

Shapes = dict[int, Region]  # of one track, by the frame's index


def write_cvat(labels: Labels, out: Path, every: int = 1) -> None:
    """Write `out/annotations.xml`; of a video, each `every`-th frame of a track is a keyframe."""
    root = Xml.Element("annotations")
    Xml.SubElement(root, "version").text = "1.1"
    size = max(frame.index for frame in labels.frames) + 1
    task = Xml.SubElement(Xml.SubElement(root, "meta"), "task")
    known = {
        "name": labels.source,
        "size": str(size if labels.is_sequence else len(labels.frames)),
        "mode": "interpolation" if labels.is_sequence else "annotation",
        "start_frame": "0",
        "stop_frame": str((size if labels.is_sequence else len(labels.frames)) - 1),
    }
    for name, text in known.items():
        Xml.SubElement(task, name).text = text
    label = Xml.SubElement(Xml.SubElement(task, "labels"), "label")
    Xml.SubElement(label, "name").text = CATEGORY
    Xml.SubElement(label, "attributes")
    if labels.is_sequence:
        original = Xml.SubElement(task, "original_size")
        for name, side in zip(("width", "height"), labels.frames[0].size, strict=True):
            Xml.SubElement(original, name).text = str(side)
        _add_tracks(root, labels.frames, every)
    else:
        _add_images(root, labels.frames)
    Xml.indent(root, " ")
    try:
        text = Xml.tostring(root, encoding="unicode")
        Xml.fromstring(text)
    except Xml.ParseError:  # a control character in a file's name: XML 1.0 has none
        raise InputError(f"{labels.source!r}: a name that XML cannot hold; rename the file") from None
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    (out / "annotations.xml").write_text(f"{head}{text}\n", encoding="utf-8")


def _add_tracks(root: Xml.Element, frames: tuple[LabelledFrame, ...], every: int) -> None:
    tracks: dict[int, Shapes] = defaultdict(dict)
    alone = 0  # regions without a track get one of their own, below zero
    for frame in frames:
        for region in frame.regions:
            if region.track is None:
                alone -= 1
            tracks[region.track or alone][frame.index] = region
    following = {frame.index: after.index for frame, after in itertools.pairwise(frames)}
    for number, shapes in enumerate(tracks.values()):
        track = Xml.SubElement(root, "track", id=str(number), label=CATEGORY, source="auto")
        first = min(shapes)
        for index, region in sorted(shapes.items()):
            is_last = following.get(index) not in shapes
            keyframe = (index - first) % every == 0 or following.get(index) is None or is_last
            _add_polygon(track, region, frame=index, outside=0, keyframe=int(keyframe))
            if is_last and (after := following.get(index)) is not None:
                _add_polygon(track, region, frame=after, outside=1, keyframe=1)


def _add_images(root: Xml.Element, frames: tuple[LabelledFrame, ...]) -> None:
    for number, frame in enumerate(frames):
        width, height = map(str, frame.size)
        image = Xml.SubElement(root, "image", id=str(number), name=frame.file, width=width, height=height)
        for region in frame.regions:
            if region.outline.holes:
                _add_mask(image, region.mask(frame.size))
            else:
                _add_polygon(image, region)


def _add_polygon(parent: Xml.Element, region: Region, **of_track: int) -> None:
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in region.outline.outer)
    _add(parent, "polygon", {"points": points, **{name: str(value) for name, value in of_track.items()}})


def _add_mask(parent: Xml.Element, mask: NDArray[np.bool_]) -> None:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    box = {"left": columns[0], "top": rows[0], "width": cut.shape[1], "height": cut.shape[0]}
    runs = ", ".join(map(str, encode_rows(np.ascontiguousarray(cut))))
    _add(parent, "mask", {"rle": runs, **{name: str(value) for name, value in box.items()}})


def _add(parent: Xml.Element, kind: str, shape: dict[str, str]) -> None:
    common = {"label": CATEGORY, "source": "auto", "occluded": "0", "z_order": "0"}
    Xml.SubElement(parent, kind, common | shape)
