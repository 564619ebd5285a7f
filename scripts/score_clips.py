"""Score the pipeline on two real clips, as `rtpolyp run` sees them and each frame alone.

python scripts/score_clips.py [--data ../shared/data] [--engine pranet-if] [-o docs/results/clips.json]

`polyp_seq1` has boxes of each polyp, the CVC-612 test sequences have masks, and nothing passes from one
sequence to the next. Both are test data, and last 2.1 and 2.4 seconds: read counts, not rates.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from rtpolyp.inference import Engine, open_engine
from rtpolyp.inference.bundle import DEFAULT_BUNDLE
from rtpolyp.measure.figure_files import write_text
from rtpolyp.measure.video_evaluation import observe, untracked
from rtpolyp.measure.video_score import score_video, to_dict
from rtpolyp.measure.video_truth import Known, Truth, box_truth, mask_truth, read_sequences
from rtpolyp.terminal.command_line import make_app, run_app
from rtpolyp.tracking.tracker import PolypTracker
from rtpolyp.video.source import open_source

TRACKERS = {"tracked": PolypTracker, "alone": lambda: untracked}


app = make_app("python scripts/score_clips.py", __doc__, help_format="plaintext")


def score_boxes(engine: Engine, videos: Path) -> dict[str, Any]:
    """The clip with boxes, one sequence."""
    return _score(
        engine, videos / "polyp_seq1_raw_560x480_25fps.mp4", box_truth(videos / "polyp_seq1_gt_boxes.json")
    )


def score_masks(engine: Engine, data: Path) -> dict[str, Any]:
    """The CVC-612 test sequences, shown one after the other, in all and by sequence."""
    listed = data / "videos" / "cvc612_test_sequences.json"
    names = [row["cvc612_frame"] for row in json.loads(listed.read_text())]
    truth = mask_truth([data / "cvc-612" / "masks" / f"{name}.png" for name in names])
    clip = data / "videos" / "cvc612_test_sequences_384x288_25fps.mp4"
    return _score(engine, clip, truth, read_sequences(listed))


def _score(engine: Engine, clip: Path, truth: Truth, sequences: list[str] | None = None) -> dict[str, Any]:
    with open_source(clip) as source:
        seen = observe(source, engine, known=Known(truth, sequences), trackers=TRACKERS)
    report = {}
    for name, parts in seen.items():
        report[name] = to_dict(score_video(parts))
        if sequences is not None:
            ids = list(dict.fromkeys(sequences))
            scores = [score_video([part]).polyps for part in parts]
            report[name]["dice by sequence"] = {
                key: None if score is None else score.dice for key, score in zip(ids, scores, strict=True)
            }
    return report


@app.default
def main(
    *,
    data: Path = Path("../shared/data"),
    engine: str = DEFAULT_BUNDLE,
    precision: str = "int8",
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("docs/results/clips.json"),
) -> None:
    """Score, print and write the report.

    Parameters
    ----------
    data
        The folder that holds the data sets.
    engine
        A bundle's name or folder.
    precision
        By default what the calibration takes on most processors.
    output
        The report.
    """
    with open_engine(engine, precision=precision, optimise_for="throughput") as network:
        report = {
            "engine": network.description,
            "sha256": network.spec.sha256,
            "polyp_seq1": score_boxes(network, data / "videos"),
            "cvc612_test_sequences": score_masks(network, data),
        }
    text = json.dumps(report, indent=1)
    print(text)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_text(text + "\n", output)


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
