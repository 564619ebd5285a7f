"""Score the pipeline on two real clips, as `rtpolyp run` sees them.

python scripts/score_clips.py [--data ../shared/data] [--engine pranet-if] [-o docs/results/clips.json]

`polyp_seq1`: in how many frames the box of each annotated polyp overlaps an outline, and how many outlines
overlap no box. The CVC-612 test sequences: Dice of every frame against its mask. Both clips are test data.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.postprocess import rasterise
from rtpolyp.imaging.preprocess import read_mask
from rtpolyp.inference import Engine, open_engine
from rtpolyp.measure.metrics import overlap
from rtpolyp.pipeline import segment
from rtpolyp.tracking.smoothing import TemporalSmoother
from rtpolyp.tracking.tracker import PolypTracker
from rtpolyp.video.frame import Segmentation
from rtpolyp.video.source import open_source


def touches(box: Rect, corners: list[int]) -> bool:
    """True when a found box and an annotated one, x0 y0 x1 y1, share a pixel."""
    x0, y0, x1, y1 = corners
    return box.x < x1 and x0 < box.x + box.width and box.y < y1 and y0 < box.y + box.height


def outlines(engine: Engine, clip: Path, time_constant_ms: float | None = None) -> list[Segmentation]:
    """What the pipeline finds in each frame."""
    tracker = None if time_constant_ms is None else PolypTracker(TemporalSmoother(time_constant_ms))
    with open_source(clip) as source:
        return [found for _, found in segment(source, engine, tracker=tracker)]


def score_boxes(engine: Engine, videos: Path) -> dict[str, Any]:
    """Annotated boxes found, and outlines that belong to none."""
    truth = json.loads((videos / "polyp_seq1_gt_boxes.json").read_text())["frames"]
    found = outlines(engine, videos / "polyp_seq1_raw_560x480_25fps.mp4")
    hits = annotated = complete = false = 0
    for boxes, segmentation in zip(truth, found, strict=True):
        corners = [entry["bbox"] for entry in boxes]
        hit = [any(touches(polyp.box, corner) for polyp in segmentation.polyps) for corner in corners]
        hits, annotated, complete = hits + sum(hit), annotated + len(hit), complete + all(hit)
        false += sum(not any(touches(p.box, c) for c in corners) for p in segmentation.polyps)
    return {
        "frames": len(found),
        "annotated boxes": annotated,
        "boxes found": round(hits / annotated, 4),
        "frames with all boxes found": round(complete / len(found), 4),
        "false outlines a frame": round(false / len(found), 4),
    }


def score_masks(engine: Engine, data: Path) -> dict[str, Any]:
    """Dice of the CVC-612 test sequences, shown one after the other."""
    frames = json.loads((data / "videos" / "cvc612_test_sequences.json").read_text())
    clip = data / "videos" / "cvc612_test_sequences_384x288_25fps.mp4"
    report: dict[str, Any] = {"frames": len(frames)}
    for name, time_constant_ms in (("smoothed", None), ("not smoothed", 0.0)):
        by_sequence: dict[int, list[float]] = {}
        for frame, segmentation in zip(frames, outlines(engine, clip, time_constant_ms), strict=True):
            truth = read_mask(data / "cvc-612" / "masks" / f"{frame['cvc612_frame']}.png")
            predicted = rasterise(segmentation.polyps, (truth.shape[1], truth.shape[0])) > 0
            by_sequence.setdefault(frame["sequence_id"], []).append(overlap(predicted, truth).dice)
        report[name] = {
            "mean Dice": round(float(np.mean([d for dice in by_sequence.values() for d in dice])), 4),
            "by sequence": {str(key): round(statistics.mean(dice), 4) for key, dice in by_sequence.items()},
        }
    return report


def main() -> None:
    """Score, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--engine", default="pranet-if")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/results/clips.json"))
    options = parser.parse_args()
    with open_engine(options.engine, optimise_for="throughput") as engine:
        report = {
            "engine": engine.description,
            "sha256": engine.spec.sha256,
            "polyp_seq1": score_boxes(engine, options.data / "videos"),
            "cvc612_test_sequences": score_masks(engine, options.data),
        }
    text = json.dumps(report, indent=1)
    print(text)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
