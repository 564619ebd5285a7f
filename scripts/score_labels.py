"""Export labels of real frames and clips into every format, read them back, and compare polyp by polyp.

python scripts/score_labels.py [--data ../shared/data] [-o docs/results/labels.json]

200 frames, 50 of each of four data sets at even steps, with the regions of their masks; and two clips with
what `rtpolyp run` outlines on them. A polyp's IoU is that with the closest shape that comes back.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from rtpolyp.imaging.mask_file import read_mask
from rtpolyp.inference import open_engine
from rtpolyp.labels import FORMATS, Labels, export_labels, read_mask_folder, read_run
from rtpolyp.labels.pictures import copy_pictures, write_frames
from rtpolyp.measure.figure_files import write_text
from rtpolyp.run import run_file
from rtpolyp.terminal.command_line import make_app, run_app
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.source import open_source
from train.prepare.drawing import Drawing, draw
from train.prepare.folder import read_folder

SETS = ("kvasir-seg", "cvc-612", "extra/polypgen", "extra/bkai-neopolyp")
EACH = 50  # frames of a set
CLIPS = ("polyp_seq1_raw_560x480_25fps.mp4", "cvc612_test_sequences_384x288_25fps.mp4")

app = make_app("python scripts/score_labels.py", __doc__, help_format="plaintext")


def shapes_of(annotation: Path | Drawing | None) -> Iterator[NDArray[np.bool_]]:
    """The masks of what came back of a frame, one by one."""
    if isinstance(annotation, Path):
        count, labels = cv2.connectedComponents(read_mask(annotation).view(np.uint8), connectivity=8)
        yield from (labels == number for number in range(1, count))
    elif annotation is not None:
        yield from (draw(annotation._replace(shapes=(shape,))).polyp for shape in annotation.shapes)


def compare(labels: Labels, folder: Path) -> list[float]:
    """The IoU of each polyp of `labels` with the closest shape that `prepare` reads from `folder`."""
    found = read_folder(folder, unannotated_are_empty=True)
    if found.problems:
        raise SystemExit("\n".join(found.problems))
    annotations = {pair.name: pair.annotation for pair in found.pairs}
    ious = []
    for frame in labels.frames:
        shapes = list(shapes_of(annotations[frame.stem]))
        for region in frame.regions:
            polyp = region.mask(frame.size)
            ious.append(max((iou(polyp, shape) for shape in shapes), default=0.0))
    return ious


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks of one size."""
    return int(np.count_nonzero(a & b)) / int(np.count_nonzero(a | b))


def summary(labels: Labels, ious: list[float]) -> dict[str, Any]:
    """What the result file holds of one export."""
    holes = sum(bool(region.outline.holes) for frame in labels.frames for region in frame.regions)
    several = sum(len(frame.regions) > 1 for frame in labels.frames)
    return {
        "frames": len(labels.frames),
        "frames with several polyps": several,
        "polyps": len(ious),
        "polyps with holes": holes,
        "lowest IoU": round(min(ious), 5),
        "mean IoU": round(float(np.mean(ious)), 6),
    }


def score_frames(data: Path, form: str) -> dict[str, Any]:
    """50 frames of each set."""
    report = {}
    for name in SETS:
        stems = sorted(path.stem for path in (data / name / "masks").iterdir())
        with tempfile.TemporaryDirectory() as work:
            split = Path(work) / "split.txt"
            split.write_text("\n".join(stems[:: len(stems) // EACH][:EACH]))
            labels, files = read_mask_folder(data / name, str(split))
            out = Path(work) / "out"
            out.mkdir()
            export_labels(labels, form, out)
            copy_pictures(labels, files, out)
            report[name] = summary(labels, compare(labels, out))
    return report


def score_clip(clip: Path, run: Path, form: str) -> dict[str, Any]:
    """A clip's run, with its frames as pictures."""
    labels = read_run(run)
    with tempfile.TemporaryDirectory() as work, open_source(clip) as source:
        export_labels(labels, form, Path(work))
        write_frames(labels, source, Path(work))
        return summary(labels, compare(labels, Path(work)))


@app.default
def main(
    *,
    data: Path = Path("../shared/data"),
    engine: str = "pranet-if-fast",
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("docs/results/labels.json"),
) -> None:
    """Export, read back, compare, print and write the report."""
    report: dict[str, Any] = {"command": "python scripts/score_labels.py", "engine": engine}
    with tempfile.TemporaryDirectory() as work, open_engine(engine, optimise_for="throughput") as network:
        runs = {}
        for name in CLIPS:
            runs[name] = Path(work) / f"{name}.jsonl"
            with open_source(data / "videos" / name) as source:
                run_file(source, Outputs(json=runs[name]), model=network)
        for form in FORMATS:
            report[form] = score_frames(data, form)
            for name, run in runs.items():
                report[form][name] = score_clip(data / "videos" / name, run, form)
            print(form, json.dumps(report[form], indent=1))
    write_text(json.dumps(report, indent=1) + "\n", output)


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
