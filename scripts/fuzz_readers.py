"""Fuzz the readers that are ours: damaged files must be read, or refused in one line.

    python scripts/fuzz_readers.py --minutes 10 -o docs/results/fuzz.json

Each reader gets a whole file that was damaged by bits, cuts, repeats, foreign words or, of JSON, by values of
other kinds. Anything but a result or a one-line RtpolypError is a failure, and so is a reading that takes
longer than SLOW_SECONDS.
"""

import base64
import io
import json
import platform
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter
from PIL import Image

from rtpolyp.errors import RtpolypError
from rtpolyp.imaging.image_file import read_pages
from rtpolyp.imaging.mask_file import read_mask
from rtpolyp.labels import read_run
from rtpolyp.measure.comparison import FIGURES, read_figures
from rtpolyp.measure.dataset import load_pairs
from rtpolyp.measure.groups import read_groups
from rtpolyp.measure.video_truth import box_truth, read_sequences
from rtpolyp.spec import EngineSpec, read_spec, write_spec
from rtpolyp.terminal.command_line import make_app
from rtpolyp.video.json_sink import frames_in
from train.command_line import run_command_line
from train.prepare.coco import read_coco
from train.prepare.cvat import read_cvat
from train.prepare.drawing import Drawings, draw
from train.prepare.labelme import read_labelme
from train.prepare.yolo import read_yolo

SLOW_SECONDS = 20.0
WORDS = (
    b"null",
    b"-1",
    b"1e999",
    b"NaN",
    b"[]",
    b"{}",
    b'""',
    b"\xff\xfe",
    b"\0",
    b"9" * 30,
    b"\n",
    b",",
    b";",
)
VALUES: tuple[Any, ...] = (None, True, -1, 0, 10**20, 1.5, float("inf"), "", "x", [], {}, [[]], {"id": 1})
SIZE = (64, 48)

Reader = Callable[[Path], object]

app = make_app("python scripts/fuzz_readers.py", __doc__)


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
RUN = [{"schema": 1, "size": [64, 48]}, {"index": 0, "name": "a", "polyps": [POLYP]}]
BOXES = {"width": 64, "height": 48, "frames": [[{"bbox": [1, 2, 30, 40]}], []]}
RESULTS = [{"schema": 1, "sha256": {}}, {"name": "a", "polyps": []}, {"summary": {"frames": 1}}]

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
    "run": ("run.jsonl", read_run, ["".join(json.dumps(row) + "\n" for row in RUN).encode()]),
    "groups": (
        "groups.csv",
        read_groups,
        [b"file,patient\na.jpg,P1\nb.jpg,P2\n", b"\xef\xbb\xbfstem;family;group\r\na;x;g\r\n"],
    ),
    "split": ("split.txt", read_split, [b"a\n", b"a\n\na\n"]),
    "spec": ("spec.json", read_spec, [spec_json()]),
    "figures": ("frames.csv", read_figures, [frames_csv()]),
    "results": ("out.jsonl", frames_in, ["".join(json.dumps(row) + "\n" for row in RESULTS).encode()]),
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
}


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The file with one to four damages."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0 if data:
                data[at % len(data)] ^= 1 << rng.randrange(8)
            case 1:
                del data[at:]
            case 2:
                data[at:at] = rng.choice(WORDS)
            case 3:
                del data[at : at + rng.randint(1, 40)]
            case _:
                data[at:at] = data[at : at + rng.randint(1, 200)]
    return bytes(data)


def mutated(value: Any, rng: random.Random) -> Any:
    """JSON with one value, somewhere, of another kind."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(list(value))
        return {**value, key: mutated(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        return [*value[:at], mutated(value[at], rng), *value[at + 1 :]]
    return rng.choice(VALUES)


def attempt(reader: Reader, path: Path) -> str:
    """What became of one file: "read", "refused", or why that is a failure."""
    begun = time.perf_counter()
    try:
        reader(path)
        found = "read"
    except RtpolypError as exc:
        found = "refused" if "\n" not in str(exc) else f"several lines: {exc}"
    except Exception as exc:
        found = f"{type(exc).__name__}: {exc}"[:200]
    return found if time.perf_counter() - begun < SLOW_SECONDS else f"slow; {found}"


@app.default
def main(
    *,
    minutes: float = 10.0,
    seed: int = 0,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
) -> int:
    """Fuzz for a while, print what became of it, and exit with 1 where something failed.

    Parameters
    ----------
    minutes
        How long, all readers in turns.
    seed
        Draws the damages.
    out
        JSON for the counts and every failure with the file's bytes in hexadecimal digits.
    """
    rng = random.Random(seed)
    counts: dict[str, Counter[str]] = {name: Counter() for name in CASES}
    failures: list[dict[str, str]] = []
    end = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as work, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for part in ("images", "masks"):
            (Path(work) / "set" / part).mkdir(parents=True)
            (Path(work) / "set" / part / "a.png").write_bytes(picture("PNG"))
        while time.monotonic() < end:
            for name, (file, reader, seeds) in CASES.items():
                content = rng.choice(seeds)
                if file.endswith(".json") and rng.random() < 0.5:
                    content = json.dumps(mutated(json.loads(content), rng)).encode()
                else:
                    content = damaged(content, rng)
                path = Path(work) / file
                path.write_bytes(content)
                found = attempt(reader, path)
                ending = found if found in ("read", "refused") else "failed"
                counts[name][ending] += 1
                if ending == "failed" and len(failures) < 50:
                    failures.append({"reader": name, "found": found, "bytes": content.hex()[:4000]})
    report = {
        "command": f"python scripts/fuzz_readers.py --minutes {minutes:g} --seed {seed}",
        "python": platform.python_version(),
        "counts": {name: dict(count) for name, count in counts.items()},
        "failures": failures,
    }
    print(json.dumps(report["counts"], indent=1))
    for failure in failures:
        print(f"{failure['reader']}: {failure['found']}")
    if out is not None:
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(run_command_line(app, sys.argv[1:]))
