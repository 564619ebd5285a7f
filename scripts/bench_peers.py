"""The same network by other means: engine alone and video to overlay video, as ratios to rtpolyp.

python scripts/bench_peers.py [--bundle pranet-if] [--clip VIDEO] [--seconds 4] [--rounds 5] [-o docs/results]

All run on the same clip and the same cores, in turns within one run, since machines differ by four times and
drift by a fifth: quote the ratios. The peers, each with its library's default options, as a user writes them;
one that fails is named:

- PyTorch: the bundle's weights, eager, FP32.
- ONNX Runtime: the bundle's ONNX, FP32 and INT8, processor provider.
- OpenCV DNN: the bundle's FP32 ONNX; OpenCV 5 does not take the INT8 one.

End to end, each network runs in two loops:

- plain: OpenCV capture, network, threshold, addWeighted, VideoWriter; one after the other.
- streaming: what Ultralytics' predict(stream=True) does with a stream. A thread reads frames into a queue of
  30; the consumer takes one, letterboxes it, runs the network, scales the mask back, draws it with its
  contour and writes it, and only then takes the next. Imitated is that order of work, not Ultralytics' code:
  its models, its fused batch norms and its non-maximum suppression are not here.

OpenCV's wheels write mp4v and rtpolyp H.264, each what its user gets by default; that is not the same work.
"""

import json
import queue
import statistics
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from rtpolyp.errors import RtpolypError
from rtpolyp.inference import Engine, open_engine
from rtpolyp.inference.bundle import DEFAULT_BUNDLE, Bundle, load_bundle
from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.measure.figure_files import write_text
from rtpolyp.phantom_clip import render_clip
from rtpolyp.pipeline import settings_for
from rtpolyp.run import run_file
from rtpolyp.terminal.command_line import make_app, run_app
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.source import open_source
from scripts.measure_speed import PLAIN_CODEC, PlainNetwork, engine_turns, plain_loop

OURS = "rtpolyp"
QUEUE = 30  # frames; Ultralytics' LoadStreams holds as many with buffer=True
SAME = 0.02  # mean difference of a peer's probability from ours on one frame; INT8 differs from FP32 by less

Network = Callable[[np.ndarray], np.ndarray]  # (H, W, 3) uint8 BGR → (h, w) float32 probability
Loop = Callable[[Path], int]  # writes the overlay video, returns the number of frames


app = make_app("python scripts/bench_peers.py", __doc__, help_format="plaintext")


class OnnxRuntimeNetwork:
    """The bundle's ONNX in ONNX Runtime, default options."""

    def __init__(self, model: Path, size: tuple[int, int]) -> None:
        import onnxruntime

        self.session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        self.size = size

    def __call__(self, bgr: np.ndarray) -> np.ndarray:
        """Frame `(H, W, 3) uint8 BGR` → probability `(h, w) float32` at the network's size."""
        feed = {self.session.get_inputs()[0].name: cv2.resize(bgr, self.size)[None]}
        return self.session.run(None, feed)[0][0].astype(np.float32) / 255


class OpenCvNetwork:
    """The bundle's ONNX in OpenCV DNN."""

    def __init__(self, model: Path, size: tuple[int, int]) -> None:
        self.network = cv2.dnn.readNetFromONNX(str(model))
        self.size = size

    def __call__(self, bgr: np.ndarray) -> np.ndarray:
        """Frame `(H, W, 3) uint8 BGR` → probability `(h, w) float32` at the network's size."""
        self.network.setInput(cv2.resize(bgr, self.size)[None])
        return self.network.forward()[0].astype(np.float32) / 255


def open_peers(bundle: Bundle, frame: np.ndarray) -> tuple[dict[str, Network], dict[str, str]]:
    """The peers that take this frame here, and why the others do not."""
    size = bundle.spec.size
    openers: dict[str, Callable[[], Network]] = {
        "PyTorch eager fp32": lambda: PlainNetwork(bundle.model("weights"), size),
        "ONNX Runtime fp32": lambda: OnnxRuntimeNetwork(bundle.model("fp32"), size),
        "ONNX Runtime int8": lambda: OnnxRuntimeNetwork(bundle.model("int8"), size),
        "OpenCV DNN fp32": lambda: OpenCvNetwork(bundle.model("fp32"), size),
    }
    peers, failures = {}, {}
    for name, opener in openers.items():
        try:
            peer = opener()
            peer(frame)
            peers[name] = peer
        except (RtpolypError, ImportError, cv2.error) as exc:
            failures[name] = " ".join(str(exc).split())
    return peers, failures


def streaming_loop(network: Network, size: tuple[int, int], clip: Path, output: Path) -> int:
    """Read ahead on a thread; predict, draw and write one frame after the other; return their number."""
    capture = cv2.VideoCapture(str(clip))
    shape = tuple(int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    rate = capture.get(cv2.CAP_PROP_FPS)
    writer = cv2.VideoWriter(str(output), cv2.VideoWriter.fourcc(*PLAIN_CODEC), rate, shape)
    frames: queue.Queue[np.ndarray | None] = queue.Queue(QUEUE)

    def read() -> None:
        while True:
            good, frame = capture.read()
            frames.put(frame if good else None)
            if not good:
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    count = 0
    while (frame := frames.get()) is not None:
        writer.write(_plotted(frame, network, size))
        count += 1
    reader.join()
    writer.release()
    capture.release()
    return count


def _plotted(frame: np.ndarray, network: Network, size: tuple[int, int]) -> np.ndarray:
    """Letterbox, predict, scale back, blend and outline."""
    height, width = frame.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    inner = round(width * scale), round(height * scale)
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    boxed = np.full((size[1], size[0], 3), 114, np.uint8)
    boxed[top : top + inner[1], left : left + inner[0]] = cv2.resize(frame, inner)
    found = network(boxed)[top : top + inner[1], left : left + inner[0]]
    mask = (cv2.resize(found, (width, height)) > 0.5).astype(np.uint8)
    overlay = frame.copy()
    overlay[mask > 0] = (0, 255, 0)
    plotted = cv2.addWeighted(frame, 0.5, overlay, 0.5, 0)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return cv2.drawContours(plotted, contours, -1, (0, 255, 0), 2)


def our_loop(engine: Engine, clip: Path, output: Path) -> int:
    """What `rtpolyp run` does."""
    with open_source(clip) as source:
        settings = settings_for(engine.spec)
        outcome = run_file(source, Outputs(output), model=engine, settings=settings)
    return outcome.frames


def measure_engines(
    bundle: Bundle, peers: dict[str, Network], frame: np.ndarray, rounds: int
) -> dict[str, Any]:
    """Milliseconds a frame, one at a time, at the network's size; a peer that sees something else ends it."""
    with open_engine(bundle.folder, optimise_for="latency") as engine:

        def ours(pixels: np.ndarray) -> np.ndarray:
            return engine.submit(pixels[None]).result().probability[0].astype(np.float32) / 255

        for name, network in peers.items():
            if (difference := float(np.abs(network(frame) - ours(frame)).mean())) > SAME:
                sys.exit(f"{name}: its probability differs by {difference:.3f}, so it runs another network")
        turns = {OURS: lambda: ours(frame)} | {
            name: (lambda network=network: network(frame)) for name, network in peers.items()
        }
        milliseconds = engine_turns(turns, rounds)
        return {"engine": engine.description, "milliseconds a frame": milliseconds} | {
            "ratio to ours": {name: round(ms / milliseconds[OURS], 2) for name, ms in milliseconds.items()}
        }


def measure_loops(
    bundle: Bundle, peers: dict[str, Network], clip: Path, folder: Path, rounds: int
) -> dict[str, Any]:
    """Frames/s from video to overlay video, each loop once a round; the first round warms up."""
    size = bundle.spec.size
    with open_engine(bundle.folder, optimise_for="throughput") as engine:
        loops: dict[str, Loop] = {OURS: lambda output: our_loop(engine, clip, output)}
        for name, network in peers.items():
            loops[f"plain, {name}"] = partial(plain_loop, network, clip)
            loops[f"streaming, {name}"] = partial(streaming_loop, network, size, clip)
        rates: dict[str, list[float]] = {name: [] for name in loops}
        for turn in range(rounds + 1):
            for name, loop in loops.items():
                start = time.perf_counter()
                frames = loop(folder / "overlay.mp4")
                if turn:
                    rates[name].append(frames / (time.perf_counter() - start))
        ratios = {
            name: [ours / theirs for ours, theirs in zip(rates[OURS], values, strict=True)]
            for name, values in rates.items()
        }
        return {
            "engine": engine.description,
            "frames/s": {name: round(statistics.median(values), 1) for name, values in rates.items()},
            "ratio of ours": {name: round(statistics.median(values), 2) for name, values in ratios.items()},
            "ratio of each round": {name: [round(v, 2) for v in values] for name, values in ratios.items()},
        }


def _last_frame(clip: Path, size: tuple[int, int]) -> np.ndarray:
    """The last frame at the network's size; the phantom's shows a polyp."""
    with open_source(clip) as source:
        (frame,) = deque(source, maxlen=1)
    return cv2.resize(frame.to_bgr(), size)


def print_report(report: dict[str, Any]) -> None:
    """Two tables, and what was not measured."""
    console = Console()
    for part, unit, ratio in (
        ("engine alone", "milliseconds a frame", "ratio to ours"),
        ("end to end", "frames/s", "ratio of ours"),
    ):
        table = Table(part, unit, "rtpolyp is faster by", box=None)
        for name, value in report[part][unit].items():
            table.add_row(name, str(value), f"{report[part][ratio][name]} ×")
        console.print(table)
    for name, reason in report["not measured"].items():
        console.print(f"{name}: not measured, {reason}", markup=False, soft_wrap=True)


@app.default
def main(
    *,
    bundle: str = DEFAULT_BUNDLE,
    clip: Path | None = None,
    seconds: float = 4.0,
    rounds: int = 5,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("docs/results"),
) -> None:
    """Measure, print and write the report.

    Parameters
    ----------
    bundle
        A bundle's name or folder.
    clip
        A video; a phantom by default.
    seconds
        Length of the phantom.
    rounds
        Turns of each measurement.
    output
        Folder for the report.
    """
    loaded, machine = load_bundle(bundle), this_machine()
    with tempfile.TemporaryDirectory() as name:
        played = clip or Path(name, "phantom.mp4")
        if clip is None:
            render_clip(played, seconds=seconds)
        frame = _last_frame(played, loaded.spec.size)
        peers, failures = open_peers(loaded, frame)
        report = {
            "command": " ".join(["python scripts/bench_peers.py", *sys.argv[1:]]),
            "machine": asdict(machine),
            "bundle": loaded.spec.name,
            "digest": loaded.spec.digest,
            "size": loaded.spec.size,
            "clip": str(clip or f"phantom, seed 0, 1280x1024, {seconds:g} s"),
            "engine alone": measure_engines(loaded, peers, frame, 3 * rounds),
            "end to end": measure_loops(loaded, peers, played, Path(name), rounds),
            "not measured": failures,
        }
    print_report(report)
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"peers-{loaded.spec.name}-{machine.processor.lower().replace(' ', '-')}.json"
    write_text(json.dumps(report, indent=1) + "\n", path)
    print(f"wrote {path}")


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
