"""Why a file's masks differ from its arrays' masks: python scripts/compare_paths.py

The phantom's pictures reach the network in four ways: as BGR arrays, as the same pictures in 4:2:0 planes,
and as frames of an H.264 file, once by their planes, as `rtpolyp run` reads them, and once as BGR. Each way's
masks are compared with those of the arrays, scaled by `imaging.preprocess.resize_frame`.
"""

import dataclasses
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rtpolyp
from rtpolyp.imaging.geometry import make_view
from rtpolyp.imaging.postprocess import find_polyps, rasterise
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.inference.processor import this_processor
from rtpolyp.measure.figure_files import write_json
from rtpolyp.measure.metrics import overlap
from rtpolyp.phantom import render_phantom
from rtpolyp.phantom_clip import RATE, render_clip
from rtpolyp.terminal.command_line import make_app, run_app
from rtpolyp.video.array_scaler import ArrayScaler
from rtpolyp.video.bgr_converter import native_of_bgr
from rtpolyp.video.frame import Frame
from rtpolyp.video.network_scaler import NetworkScaler

SECONDS, EVERY = 4.0, 8  # of the clip; frames between two that are looked at
OUT = Path(__file__).resolve().parents[1] / "docs" / "results" / "array-and-file.json"

app = make_app("python scripts/compare_paths.py", __doc__, help_format="plaintext")


@app.default
def main() -> None:
    """Compare, print, and write docs/results/array-and-file.json."""
    rows: dict[str, list[tuple[float, float]]] = {}
    with rtpolyp.load(precision="fp32") as model:
        for array, frame in pairs():
            inputs = ways(array, frame, model.size)
            masks = {name: outlined(model, pixels, frame.size) for name, pixels in inputs.items()}
            if not masks["array"].any():
                continue
            for name, pixels in list(inputs.items())[1:]:
                levels = np.abs(pixels.astype(np.int16) - inputs["array"]).mean()
                dice = overlap(masks[name], masks["array"]).dice
                rows.setdefault(name, []).append((dice, float(levels)))
    report: dict[str, Any] = {
        "command": "python scripts/compare_paths.py",
        "processor": this_processor().name,
        "bundle": model.spec.name,
        "sha256": model.spec.sha256,
    }
    for name, pairs_of in rows.items():
        dices, levels_of = zip(*pairs_of, strict=True)
        report[name] = {
            "frames": len(dices),
            "Dice, mean": round(float(np.mean(dices)), 3),
            "Dice, least": round(min(dices), 3),
            "levels of 255 at the network's input, mean": round(float(np.mean(levels_of)), 2),
        }
    write_json(report, OUT)
    print(json.dumps(report, indent=1))


def pairs() -> Iterator[tuple[NDArray[np.uint8], Frame]]:
    """Pictures as they were drawn, and as an H.264 file has them."""
    with tempfile.TemporaryDirectory() as folder:
        render_clip(clip := Path(folder, "phantom.mp4"), seconds=SECONDS)
        with rtpolyp.open_source(clip) as source:
            drawn = render_phantom(SECONDS, fps=RATE)
            for picture, frame in itertools.islice(zip(drawn, source, strict=True), 0, None, EVERY):
                yield np.ascontiguousarray(picture.bgr), frame


def ways(array: NDArray[np.uint8], frame: Frame, size: tuple[int, int]) -> dict[str, NDArray[np.uint8]]:
    """The network's input `(h, w, 3) uint8 BGR`, by each way."""
    view = make_view(frame.size, size)
    planes = dataclasses.replace(frame, native=native_of_bgr(array, "yuv420p", frame.colour))
    return {
        "array": resize_frame(array, size),
        "array, by the library": ArrayScaler(view)(array),
        "4:2:0 planes of the array": NetworkScaler(view)(planes),
        "H.264 file, its planes": NetworkScaler(view)(frame),
        "H.264 file, its frames as BGR": resize_frame(frame.to_bgr(), size),
    }


def outlined(model: rtpolyp.Model, pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.bool_]:
    """What the model outlines in its input, at the frame's size."""
    probability = model.engine.submit(pixels[np.newaxis]).result().probability[0]
    return rasterise(find_polyps(probability, make_view(size, model.size), model.settings), size) > 0


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
