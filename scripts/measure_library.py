"""What one picture costs over the network alone, by the library: python scripts/measure_library.py

The network looks at each picture once. Then an engine that has the answer ready takes its place, so that what
is timed is the library alone: checking and scaling the picture, and outlining polyps. Masks and probabilities
at the picture's size are made when they are asked for, and so are no part of it. No way of scaling can be
faster than reading every byte once, which is timed as well. Processor time of the calling thread is taken
beside the wall clock, which other programs slow down. Run it on a quiet machine: beside other programs the
caches are cold, and the same work takes twice as long.
"""

import itertools
import json
import os
import re
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import rtpolyp
from rtpolyp.imaging.geometry import make_view
from rtpolyp.imaging.postprocess import find_polyps
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.inference.engine import Prediction
from rtpolyp.inference.processor import this_processor
from rtpolyp.measure.figure_files import write_json
from rtpolyp.measure.statistics import percentile
from rtpolyp.phantom import render_phantom
from rtpolyp.video.array_scaler import ArrayScaler

SIZES = (384, 288), (622, 528), (1280, 1024), (1920, 1080)
ROUNDS, WARM_UP = 300, 20
RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"


class Ready:
    """An engine whose answer is there before it is asked."""

    def __init__(self, model: rtpolyp.Model, probability: NDArray[np.uint8]) -> None:
        engine = model.engine
        self.spec, self.description = engine.spec, "ready"
        self.backend, self.precision = engine.backend, engine.precision
        self.capacity = self.batch = 1
        self._answer = Prediction(probability)

    def submit(self, frames: NDArray[np.uint8]) -> "Future[Prediction]":
        """Return the answer that is ready."""
        future: Future[Prediction] = Future()
        future.set_result(self._answer)
        return future

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> "Ready":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def overhead(model: rtpolyp.Model, size: tuple[int, int]) -> dict[str, float]:
    """Milliseconds a call, of the thread's processor time and by the wall clock."""
    (picture,) = itertools.islice(
        (frame.bgr for frame in render_phantom(6.0, size, fps=0.5, seed=2)), 2, None
    )
    picture = np.ascontiguousarray(picture)
    probability = model.engine.submit(resize_frame(picture, model.size)[np.newaxis]).result().probability
    ready = rtpolyp.Model(Ready(model, probability))
    view = make_view(size, model.size)
    scale = ArrayScaler(view)
    processor, wall = timed(lambda: ready(picture))
    scaling, _ = timed(lambda: scale(picture))
    outlining, _ = timed(lambda: find_polyps(probability[0], view, model.settings))
    reading, _ = timed(lambda: cv2.countNonZero(picture.reshape(size[1], -1)))
    return {
        "processor ms, median": round(percentile(processor, 50), 2),
        "of which scaling": round(percentile(scaling, 50), 2),
        "of which outlining": round(percentile(outlining, 50), 2),
        "reading every byte once": round(percentile(reading, 50), 2),
        "wall ms, fastest tenth": round(percentile(wall, 10), 2),
        "wall ms, median": round(percentile(wall, 50), 2),
    }


def timed(work: Callable[[], object]) -> tuple[list[float], list[float]]:
    """Milliseconds of each call, of the thread's processor time and by the wall clock."""
    processor, wall = [], []
    for turn in range(WARM_UP + ROUNDS):
        begun = time.perf_counter(), time.thread_time()
        work()
        end = time.perf_counter(), time.thread_time()
        if turn >= WARM_UP:
            wall.append(1000 * (end[0] - begun[0]))
            processor.append(1000 * (end[1] - begun[1]))
    return processor, wall


def main() -> None:
    """Measure all sizes and write docs/results/library-PROCESSOR.json."""
    processor = this_processor()
    with rtpolyp.load(precision="fp32") as model:
        report = {
            "command": "python scripts/measure_library.py",
            "processor": processor.name,
            "load average at the start": [round(value, 1) for value in os.getloadavg()],
            "rounds": ROUNDS,
            "sizes": {f"{width}x{height}": overhead(model, (width, height)) for width, height in SIZES},
        }
    name = re.sub(r"\W+", "-", re.sub(r"\(.*?\)", "", processor.name).lower()).strip("-")
    write_json(report, RESULTS / f"library-{name}.json")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
