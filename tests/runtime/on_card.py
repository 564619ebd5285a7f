"""Real plans for the card at hand, for tests that are marked needs_cuda."""

import functools
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2

from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.engine import Goal
from rtpolyp.inference.tensorrt.engine import TensorRtEngine
from rtpolyp.inference.tensorrt.plan import SUFFIX, Plan, read_plan
from tests.runtime.tiny_bundle import red_square

LEVELS = 2  # of 255, by which a card's kernels for one number of frames may differ from those for another
ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def built_plan(folder: Path, *, red_squares: bool) -> Plan:
    """Build a bundle's folder, by the documented command, for up to four frames.

    The builder's gate compares on the phantom, or on `red_squares`, which is all that a tiny network knows.
    """
    with tempfile.TemporaryDirectory() as work:
        for index, corner in enumerate([(8, 8), (40, 20), (60, 36)]):
            (Path(work) / "frames").mkdir(exist_ok=True)
            cv2.imwrite(f"{work}/frames/{index}.png", red_square(corner=corner))
        command = [sys.executable, "scripts/build_engine.py", "--bundle", folder, "--batch", "1:1:4"]
        command += ["--frames", f"{work}/frames"] if red_squares else []
        command += ["-o", f"{work}/engines"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        (path,) = Path(work, "engines").glob(f"*{SUFFIX}")
        return read_plan(path)


def tensorrt_engine(bundle: Bundle, *, optimise_for: Goal = "latency", batch: int = 1) -> TensorRtEngine:
    """The bundle as a plan of up to four frames."""
    return TensorRtEngine(built_plan(bundle.folder, red_squares=True), batch=batch)
