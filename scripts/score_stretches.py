"""Flicker and false activations on stretches of which the truth is known, with the tracker and without.

python scripts/score_stretches.py phantom|pans-val|pans-test|normal-val|normal-test [--engine pranet-if]

phantom: `--clips` clips of `--seconds` each, every one another colon, with polyps in the first 20 s of each
minute and none after; it shows how the pipeline behaves, not how well it sees. pans-val, pans-test: slow pans
over the polyp-free stills of PolypGen's part; normal-val, normal-test: over those of HyperKvasir, which are
ten times as many. A tracker may be chosen on val, never on test.
The engine runs once; "tracked" is what `rtpolyp run` shows, "alone" is each frame without its past. The
report, docs/results/stretches-WHAT.json, is written after each clip.
"""

import json
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from rtpolyp.imaging.image_file import read_image
from rtpolyp.inference import Engine, open_engine
from rtpolyp.inference.bundle import DEFAULT_BUNDLE
from rtpolyp.measure.dataset import load_pairs
from rtpolyp.measure.figure_files import write_text
from rtpolyp.measure.video_evaluation import Observation, observe, untracked
from rtpolyp.measure.video_score import VideoScore, score_video, to_dict
from rtpolyp.measure.video_truth import Known, Polyps, Truth, no_polyps, regions
from rtpolyp.phantom import render_phantom
from rtpolyp.phantom.pan import pan
from rtpolyp.terminal.command_line import make_app, run_app
from rtpolyp.tracking.smoothing import TemporalSmoother
from rtpolyp.tracking.tracker import PolypTracker
from rtpolyp.video.array_source import ArraySource

RATE = Fraction(25)  # frames per second
NORMAL = "hyperkvasir-negatives"
SIZE = (640, 512)  # of the phantom
POPULATED_SECONDS, CYCLE_SECONDS = 20, 60  # polyps may grow in the first of these of each of those
STILLS = {  # a folder and a list in it
    **{f"pans-{part}": ("polypgen", f"negatives_{part}") for part in ("val", "test")},
    **{f"normal-{part}": (NORMAL, f"{NORMAL}_{part}") for part in ("val", "test")},
}
TRACKERS = {"tracked": PolypTracker, "alone": lambda: untracked}


app = make_app("python scripts/score_stretches.py", __doc__, help_format="plaintext")


def phantom(seed: int, seconds: float) -> tuple[ArraySource, Truth]:
    """A phantom clip and its truth, both rendered as they are asked for: a mask waits for its frame only."""
    masks: deque[NDArray[np.bool_]] = deque()
    starts = range(0, int(seconds) + 1, CYCLE_SECONDS)
    populated = [(start, start + POPULATED_SECONDS) for start in starts]

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for frame in render_phantom(seconds, SIZE, RATE, seed, populated=populated):
            masks.append(frame.mask)
            yield frame.bgr

    def polyps() -> Iterator[Polyps]:
        while masks:
            yield regions(masks.popleft())

    return ArraySource(pictures(), SIZE, RATE, f"phantom {seed}"), Truth(polyps(), None)


def pans(data: Path, folder: str, split: str, seconds: float) -> Iterator[tuple[ArraySource, Truth]]:
    """A pan over each polyp-free still of a list."""
    for pair in load_pairs(data / "extra" / folder, split):
        still = read_image(pair.image)
        height, width, _ = next(pan(still, 1)).shape
        yield ArraySource(pan(still, seconds, RATE), (width, height), RATE, pair.name), no_polyps()


def scores(engine: Engine, clips: Iterable[tuple[ArraySource, Truth]]) -> Iterator[dict[str, Any]]:
    """Score clips, each a sequence of its own, with the tracker and without; yield the sums after each."""
    seen: dict[str, list[list[Observation]]] = {name: [] for name in TRACKERS}
    for source, truth in clips:
        for name, sequences in observe(source, engine, known=Known(truth), trackers=TRACKERS).items():
            seen[name] += sequences
        tracked, alone = (score_video(sequences) for sequences in seen.values())
        report = {"tracked": to_dict(tracked), "alone": to_dict(alone)}
        yield report | {"tracked over alone": _ratios(tracked, alone)}


def _ratios(tracked: VideoScore, alone: VideoScore) -> dict[str, float | None]:
    """What the tracker leaves of the flicker; None where there was none to begin with."""

    def ratio(a: float | None, b: float | None) -> float | None:
        return round(a / b, 4) if a is not None and b else None

    ratios = {"returns": ratio(tracked.returns, alone.returns)}
    if tracked.polyps is not None and alone.polyps is not None:
        flicker = (polyps.flicker_per_second for polyps in (tracked.polyps, alone.polyps))
        ratios["flicker_per_second"] = ratio(*flicker)
    return ratios


@app.default
def main(
    what: Literal["phantom", "pans-val", "pans-test", "normal-val", "normal-test"],
    /,
    *,
    data: Path = Path("../shared/data"),
    engine: str = DEFAULT_BUNDLE,
    precision: str = "int8",
    clips: int = 10,
    seconds: float | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
) -> None:
    """Score, and write the report after each clip.

    Parameters
    ----------
    what
        Which clips.
    data
        The folder that holds the data sets.
    engine
        A bundle's name or folder.
    precision
        By default what the calibration takes on most processors.
    clips
        How many phantoms.
    seconds
        Length of a clip; 60 of phantom and 20 of a pan by default.
    output
        The report; docs/results/stretches-WHAT.json by default.
    """
    output = output or Path(f"docs/results/stretches-{what}.json")
    output.parent.mkdir(parents=True, exist_ok=True)
    if what == "phantom":
        shown: Iterable[tuple[ArraySource, Truth]] = (phantom(seed, seconds or 60.0) for seed in range(clips))
    else:
        shown = pans(data, *STILLS[what], seconds or 20.0)
    with open_engine(engine, precision=precision, optimise_for="throughput") as network:
        header = {
            "engine": network.description,
            "sha256": network.spec.sha256,
            "load average at the start": [round(value, 1) for value in os.getloadavg()],
            "smoothing delay ms": round(TemporalSmoother().delay_ms, 1),
        }
        for report in scores(network, shown):
            write_text(json.dumps(header | report, indent=1) + "\n", output)
            print(f"{report['tracked']['seconds']:.0f} s: {report['tracked over alone']}", flush=True)


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
