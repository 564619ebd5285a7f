"""CASES: every reader that is ours, and what it is given."""

import json
from collections.abc import Callable
from pathlib import Path

from rtpolyp.imaging.image_file import read_pages
from rtpolyp.imaging.mask_file import read_mask
from rtpolyp.labels import read_run
from rtpolyp.measure.comparison import read_figures
from rtpolyp.measure.dataset import load_pairs
from rtpolyp.measure.groups import read_groups
from rtpolyp.measure.video_truth import box_truth, read_sequences
from rtpolyp.spec import read_spec
from rtpolyp.video.json_sink import frames_in
from rtpolyp.video.source import open_source
from scripts.fuzz.dicom_objects import dicom_objects
from scripts.fuzz.whole_files import (
    BOXES,
    COCO,
    COCO_RUNS,
    CVAT,
    LABELME,
    PLAYLIST,
    RESULTS,
    RUN,
    frames_csv,
    lines,
    picture,
    spec_json,
)
from train.prepare.coco import read_coco
from train.prepare.cvat import read_cvat
from train.prepare.drawing import Drawings, draw
from train.prepare.labelme import read_labelme
from train.prepare.yolo import read_yolo

__all__ = ["CASES", "Reader"]

Reader = Callable[[Path], object]


def read_boxes(path: Path) -> None:
    """Boxes, filled."""
    for _ in box_truth(path).frames:
        pass


def drawn(drawings: Drawings) -> None:
    """Draw what was read of a labelling tool's file; a problem of an image is one line, too."""
    for drawing in drawings.values():
        if isinstance(drawing, str):
            assert "\n" not in drawing, drawing
        elif drawing.width * drawing.height < 10**7:
            draw(drawing)


def read_yolo_lines(path: Path) -> None:
    """Lines of YOLO-seg, of a picture that is there."""
    drawn(read_yolo(path.parent, [path], {path.stem: path.parent / "set/images/a.png"}))


def read_split(path: Path) -> None:
    """The frames of a split."""
    load_pairs(path.parent / "set", str(path))


def read_frames(path: Path) -> None:
    """All pictures of a video or an image."""
    with open_source(path) as source:
        for frame in source:
            frame.to_bgr()


# reader → the file's name, what reads it, and whole files to damage
CASES: dict[str, tuple[str, Reader, list[bytes]]] = {
    "boxes": ("boxes.json", read_boxes, [json.dumps(BOXES).encode()]),
    "sequences": (
        "sequences.json",
        read_sequences,
        [json.dumps([{"video_frame": i, "sequence_id": 1} for i in range(4)]).encode()],
    ),
    "COCO": (
        "annotations.json",
        lambda path: drawn(read_coco(path)),
        [json.dumps(COCO).encode(), json.dumps(COCO_RUNS).encode()],
    ),
    "CVAT": ("annotations.xml", lambda path: drawn(read_cvat(path, ("a", "b1", "b2"))), [CVAT]),
    "LabelMe": ("a.json", lambda path: drawn(read_labelme([path])), [json.dumps(LABELME).encode()]),
    "YOLO-seg": ("a.txt", read_yolo_lines, [b"0 .1 .1 .5 .1 .5 .5\n1 .2 .2 .3 .2 .3 .4\n"]),
    "run": ("run.jsonl", read_run, [lines(RUN)]),
    "groups": (
        "groups.csv",
        read_groups,
        [b"file,patient\na.jpg,P1\nb.jpg,P2\n", b"\xef\xbb\xbfstem;family;group\r\na;x;g\r\n"],
    ),
    "split": ("split.txt", read_split, [b"a\n", b"a\n\na\n"]),
    "spec": ("spec.json", read_spec, [spec_json()]),
    "figures": ("frames.csv", read_figures, [frames_csv()]),
    "results": ("out.jsonl", frames_in, [lines(RESULTS)]),
    "mask": (
        "mask.png",
        read_mask,
        [
            picture("PNG", "L"),
            picture("TIFF", "L"),
            picture("JPEG", "L"),
            picture("GIF", "L"),
            picture("BMP", "L"),
        ],
    ),
    "image": (
        "image.jpg",
        lambda path: list(read_pages(path)),
        [
            *(picture(kind) for kind in ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "AVIF", "JPEG2000", "PPM")),
            *(picture("TIFF", compression=name) for name in ("jpeg", "tiff_lzw", "tiff_adobe_deflate")),
            picture("JPEG", progressive=True),
        ],
    ),
    "DICOM": ("object.dcm", read_frames, dicom_objects()),
    "playlist": ("list.m3u8", read_frames, [PLAYLIST]),
}
