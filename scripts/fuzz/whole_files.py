"""Whole files of every kind that is read, to be damaged."""

import base64
import io
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rtpolyp.measure.comparison import FIGURES
from rtpolyp.spec import EngineSpec, write_spec

__all__ = [
    "BOXES",
    "COCO",
    "COCO_RUNS",
    "CVAT",
    "FRAMES",
    "LABELME",
    "PLAYLIST",
    "RESULTS",
    "RUN",
    "SIZE",
    "clip",
    "frames_csv",
    "lines",
    "picture",
    "spec_json",
]

SIZE = (64, 48)
FRAMES = 3


def picture(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    """A small picture or mask as a file."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    colours = np.stack([3 * x, 5 * y, 2 * (x + y)], axis=-1).astype(np.uint8)
    disc = np.where(np.hypot(x - 32, y - 24) < 12, 255, 0).astype(np.uint8)
    image = Image.fromarray(colours if mode == "RGB" else disc)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def frames_csv() -> bytes:
    """What `rtpolyp eval --csv` writes."""
    rows = [",".join(["name", "group", *FIGURES])]
    rows += [",".join([f"f{i}", f"g{i}", *["0.5"] * len(FIGURES)]) for i in range(9)]
    return "\n".join(rows).encode()


def spec_json() -> bytes:
    """A bundle's spec."""
    spec = EngineSpec("n", "n", "e", 64, 64, 0.5, 0.0, 0.0, {"fp32": "m.onnx"}, {"m.onnx": "0" * 64})
    with tempfile.TemporaryDirectory() as folder:
        write_spec(spec, Path(folder) / "spec.json")
        return (Path(folder) / "spec.json").read_bytes()


def clip(suffix: str) -> bytes:
    """FRAMES pictures as H.264, by ffmpeg."""
    pictures = f"testsrc2=size={SIZE[0]}x{SIZE[1]}:rate=25"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / f"clip{suffix}"
        command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", pictures, "-frames:v", str(FRAMES)]
        subprocess.run([*command, "-pix_fmt", "yuv420p", "-c:v", "libx264", str(out)], check=True)
        return out.read_bytes()


def lines(rows: list[dict[str, Any]]) -> bytes:
    """JSON Lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


SHAPES = [{"id": i, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]]} for i in range(3)]
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
    "categories": [{"id": 1, "name": "polyp"}],
    "annotations": SHAPES,
}
RUNS = {"size": [48, 64], "counts": [100, 20, 28, 20, 2904]}
COCO_RUNS = {**COCO, "annotations": [{**SHAPES[0], "segmentation": RUNS}]}
CVAT = (
    b"<annotations><meta><original_size><width>64</width><height>48</height></original_size></meta>"
    b'<image name="a.png" width="64" height="48"><polygon label="p" points="1,1;9,1;9,9"/>'
    b'<mask label="p" rle="1, 2, 1, 2" left="3" top="4" width="3" height="2"/></image>'
    b'<track id="0" label="p"><polygon frame="1" outside="0" points="1,1;9,1;9,9"/>'
    b'<ellipse frame="2" cx="20" cy="20" rx="9" ry="5" rotation="30"/></track></annotations>'
)
PNG = base64.b64encode(picture("PNG", "L")).decode()
LABELME = {
    "imageWidth": 64,
    "imageHeight": 48,
    "shapes": [
        {"label": "p", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"},
        {"label": "p", "points": [[20, 20], [25, 20]], "shape_type": "circle"},
        {"label": "p", "points": [[0, 0], [63, 47]], "shape_type": "mask", "mask": PNG},
    ],
}
POLYP = {"contour": [[1, 1], [9, 1], [9, 9]], "confidence": 0.9, "track": 1}
RUN: list[dict[str, Any]] = [{"schema": 1, "size": [64, 48]}, {"index": 0, "name": "a", "polyps": [POLYP]}]
BOXES = {"width": 64, "height": 48, "frames": [[{"bbox": [1, 2, 30, 40]}], []]}
RESULTS: list[dict[str, Any]] = [
    {"schema": 1, "sha256": {}},
    {"name": "a", "polyps": []},
    {"summary": {"frames": 1}},
]
PLAYLIST = (
    b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n"
    b"#EXTINF:0.16,\npart.ts\n#EXTINF:0.16,\npart.ts\n#EXT-X-ENDLIST\n"
)
