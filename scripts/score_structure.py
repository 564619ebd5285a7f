"""Compare S-measure, weighted F, E-measure and pixel rates with pysodmetrics on real frames.

python scripts/score_structure.py [--data ../shared/data] [-o docs/results/structure.json]

200 frames with a polyp, 50 of each of four data sets at even steps, and what a shipped bundle makes of them.
pysodmetrics runs in the environment of tests/peers/requirements.txt, which must be installed in .venv-peers.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.inference import open_engine
from rtpolyp.measure.dataset import load_pairs
from rtpolyp.measure.evaluation import predict, read_pair
from rtpolyp.measure.figure_files import write_text
from rtpolyp.measure.metrics import threshold_rates
from rtpolyp.measure.structure import e_measure, s_measure, stretch, weighted_f
from rtpolyp.terminal.command_line import make_app, run_app

SETS = ("kvasir-seg", "cvc-612", "extra/polypgen", "extra/bkai-neopolyp")
EACH = 50  # frames of a set
PEERS = Path(".venv-peers/bin/python")

app = make_app("python scripts/score_structure.py", __doc__, help_format="plaintext")


def maps_of(data: Path, engine: str) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
    """Set and name → the map at the frame's size, and the truth."""
    found = {}
    with open_engine(engine, optimise_for="throughput") as network:
        for name in SETS:
            pairs = load_pairs(data / name)
            read = ((pair, *read_pair(pair)) for pair in pairs[:: max(1, len(pairs) // (EACH + 10))])
            steps = [(pair, image, truth) for pair, image, truth in read if truth.any()][:EACH]
            images = (((pair.name, truth), image) for pair, image, truth in steps)
            for (stem, truth), probability in predict(network, images):
                full = cv2.resize(probability, truth.shape[::-1], interpolation=cv2.INTER_LINEAR)
                found[f"{name}/{stem}"] = np.asarray(full, np.uint8), truth
    return found


def figures_of(probability: NDArray[np.uint8], truth: NDArray[np.bool_]) -> dict[str, float]:
    """Our figures of one frame."""
    unit = stretch(probability)
    sensitivity, specificity = threshold_rates(probability, truth)
    return {
        "s_measure": s_measure(unit, truth),
        "weighted_f": weighted_f(unit, truth),
        "e_measure": e_measure(unit, truth),
        "sensitivity": sensitivity,
        "specificity": specificity,
    }


@app.default
def main(
    *,
    data: Path = Path("../shared/data"),
    engine: str = "pranet-if-fast",
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("docs/results/structure.json"),
) -> None:
    """Score both ways, print and write the report."""
    if not PEERS.is_file():
        raise InputError(f"{PEERS}: missing; install it as tests/peers/requirements.txt says")
    maps = maps_of(data, engine)
    with tempfile.TemporaryDirectory() as work:
        pairs, theirs_file = Path(work) / "pairs.npz", Path(work) / "figures.json"
        arrays: dict[str, Any] = {}
        for name, (probability, truth) in maps.items():
            arrays[f"map_{name}"], arrays[f"truth_{name}"] = probability, truth.astype(np.uint8) * 255
        np.savez_compressed(pairs, **arrays)
        subprocess.run([PEERS, "tests/peers/sod_peer.py", pairs, theirs_file], check=True)
        theirs = json.loads(theirs_file.read_text())
    ours = {name: figures_of(*pair) for name, pair in maps.items()}
    report: dict[str, Any] = {"command": "python scripts/score_structure.py", "frames": len(ours)}
    report["engine"] = engine
    for key in next(iter(ours.values())):
        apart = [abs(ours[name][key] - theirs[name][key]) for name in ours]
        report[key] = {
            "ours": round(float(np.mean([figures[key] for figures in ours.values()])), 6),
            "pysodmetrics": round(float(np.mean([theirs[name][key] for name in ours])), 6),
            "largest difference of a frame": float(f"{max(apart):.3g}"),
        }
    print(json.dumps(report, indent=1))
    write_text(json.dumps(report, indent=1) + "\n", output)


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
