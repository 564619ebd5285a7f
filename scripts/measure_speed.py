"""Measure the shipped bundle against plain PyTorch, and `rtpolyp run` against a plain OpenCV loop.

python scripts/measure_speed.py [--bundle pranet-if] [--seconds 10] [--rounds 3] [-o docs/results]

Everything is measured in turns within one run, since machines differ by four times and drift by a fifth:
quote the ratios. Three questions are answered:

1. Engine: one frame in the chosen precision, against the same network in PyTorch eager FP32, one frame at a
   time, all cores each.
2. Run: a 1280x1024 H.264 phantom to an overlay video, against the loop that a user writes first: OpenCV
   capture, the same network at the same size in PyTorch, addWeighted, VideoWriter.
3. Overhead: processor seconds of the whole run against the sum of its stages, each alone.
"""

import itertools
import json
import platform
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypeVar

import cv2
import numpy as np
import torch
from cyclopts import Parameter

from rtpolyp.imaging.geometry import View, make_view
from rtpolyp.imaging.picture import PICTURE_FRAMES, PictureFinder
from rtpolyp.inference import Engine, open_engine
from rtpolyp.inference.bundle import DEFAULT_BUNDLE, load_bundle
from rtpolyp.inference.engine import Prediction
from rtpolyp.inference.processor import this_processor
from rtpolyp.measure.figure_files import write_text
from rtpolyp.phantom_clip import render_clip
from rtpolyp.pipeline import SegmentedFrame, draw, settings_for
from rtpolyp.run import run_file
from rtpolyp.settings import Settings
from rtpolyp.terminal.command_line import make_app, run_app
from rtpolyp.tracking.tracker import PolypTracker
from rtpolyp.video.frame import Frame, Segmentation
from rtpolyp.video.network_scaler import NetworkScaler
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.source import open_source
from rtpolyp.video.video_sink import EncoderSettings, VideoSink
from train.augmentation.augment import normalise
from train.checkpoint import load_checkpoint, load_network
from train.encoders.encoder import encoder_of

TELLING = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8")
BLOCK = 20  # inferences of one turn
PLAIN_CODEC = "mp4v"  # OpenCV's wheels have no H.264 encoder
T = TypeVar("T")

app = make_app("python scripts/measure_speed.py", __doc__, help_format="plaintext")


class PlainNetwork:
    """The network as a user runs it: PyTorch, eager, FP32."""

    def __init__(self, weights: Path, size: tuple[int, int]) -> None:
        self.network = load_network(load_checkpoint(weights))
        self.size = size

    @torch.inference_mode()
    def __call__(self, bgr: np.ndarray) -> np.ndarray:
        """Frame `(H, W, 3) uint8 BGR` → probability `(h, w) float32` at the network's size."""
        rgb = cv2.cvtColor(cv2.resize(bgr, self.size), cv2.COLOR_BGR2RGB)
        images = torch.from_numpy(rgb).permute(2, 0, 1)[None].float()
        images = normalise(images, encoder_of(self.network).mean, encoder_of(self.network).std)
        return torch.sigmoid(self.network(images))[0, 0].numpy()


def plain_loop(network: Callable[[np.ndarray], np.ndarray], clip: Path, output: Path) -> int:
    """Outline polyps the first way that comes to mind; return the number of frames."""
    capture = cv2.VideoCapture(str(clip))
    width, height = (int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    rate = capture.get(cv2.CAP_PROP_FPS)
    writer = cv2.VideoWriter(str(output), cv2.VideoWriter.fourcc(*PLAIN_CODEC), rate, (width, height))
    frames = 0
    while True:
        good, frame = capture.read()
        if not good:
            break
        probability = cv2.resize(network(frame), (width, height))
        overlay = frame.copy()
        overlay[probability > 0.5] = (0, 255, 0)
        writer.write(cv2.addWeighted(frame, 0.7, overlay, 0.3, 0))
        frames += 1
    writer.release()
    capture.release()
    return frames


def engine_turns(engines: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Milliseconds a frame of each, the median over blocks taken in turns."""
    blocks: dict[str, list[float]] = {name: [] for name in engines}
    for turn in range(rounds + 1):  # the first warms up
        for name, infer in engines.items():
            start = time.perf_counter()
            for _ in range(BLOCK):
                infer()
            if turn:
                blocks[name].append(1000 * (time.perf_counter() - start) / BLOCK)
    return {name: round(statistics.median(values), 2) for name, values in blocks.items()}


def keep_busy(engine: Engine, frames: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Run every frame with the engine's requests kept in flight."""
    waiting: deque[Future[Prediction]] = deque()
    found: list[np.ndarray] = []
    for frame in frames:
        if len(waiting) == engine.capacity:
            found.append(waiting.popleft().result().probability[0])
        waiting.append(engine.submit(frame[None]))
    return found + [future.result().probability[0] for future in waiting]


def measure_engine(bundle: str, plain: PlainNetwork, rounds: int) -> dict[str, Any]:
    """Answer question 1: the engine against PyTorch."""
    frame = np.random.default_rng(0).integers(0, 256, (plain.size[1], plain.size[0], 3), np.uint8)
    with (
        open_engine(bundle, optimise_for="latency") as quick,
        open_engine(bundle, optimise_for="throughput") as busy,
    ):
        candidates: dict[str, Callable[[], Any]] = {
            "pytorch eager fp32": lambda: plain(frame),
            "latency": lambda: quick.submit(frame[None]).result(),
        }
        milliseconds = engine_turns(candidates, rounds * 3)
        rates = []
        for _ in range(rounds * 3):
            start = time.perf_counter()
            keep_busy(busy, [frame] * BLOCK * 2)
            rates.append(2 * BLOCK / (time.perf_counter() - start))
        return {
            "milliseconds a frame": milliseconds,
            "ratio": round(milliseconds["pytorch eager fp32"] / milliseconds["latency"], 2),
            "throughput frames/s": round(statistics.median(rates), 1),
            "engine": quick.description,
            "engine for throughput": busy.description,
        }


def measure_run(bundle: str, plain: PlainNetwork, clip: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """Answer questions 2 and 3: the run against a plain loop, and against its stages."""
    ours, theirs, ratios, cpu, alone = [], [], [], [], []
    ours_path, theirs_path = folder / "ours.mp4", folder / "plain.mp4"
    frames = 0
    with open_engine(bundle, optimise_for="throughput") as engine:
        settings = settings_for(engine.spec)
        for turn in range(rounds + 1):  # the first warms up
            start = time.perf_counter()
            frames = plain_loop(plain, clip, theirs_path)
            plain_rate = frames / (time.perf_counter() - start)
            start_cpu = time.process_time()
            with open_source(clip) as source:
                outputs = Outputs(ours_path)
                outcome = run_file(source, outputs, model=engine, settings=settings)
            run_cpu = (time.process_time() - start_cpu) / outcome.frames
            stages = measure_stages(engine, clip, folder / "alone.mp4")
            if turn:
                ours.append(outcome.frames_per_second)
                theirs.append(plain_rate)
                ratios.append(outcome.frames_per_second / plain_rate)
                cpu.append(run_cpu)
                alone.append(stages)
    stage_ms = {name: statistics.median(1000 * stages[name] for stages in alone) for name in alone[0]}
    run_ms = 1000 * statistics.median(cpu)
    encoder = EncoderSettings()
    return {
        "frames": frames,
        "rtpolyp run frames/s": round(statistics.median(ours), 1),
        "plain loop frames/s": round(statistics.median(theirs), 1),
        "ratio": round(statistics.median(ratios), 2),
        "ratio of each round": [round(ratio, 2) for ratio in ratios],
        "rtpolyp codec": f"libx264 {encoder.preset} crf {encoder.crf}, "
        f"{ours_path.stat().st_size / frames / 1024:.1f} KiB a frame",
        "plain codec": f"{PLAIN_CODEC} (OpenCV's default rate), "
        f"{theirs_path.stat().st_size / frames / 1024:.1f} KiB a frame",
        "processor ms a frame, whole run": round(run_ms, 2),
        "processor ms a frame, stages alone": {name: round(value, 2) for name, value in stage_ms.items()},
        "whole run / sum of stages": round(run_ms / sum(stage_ms.values()), 3),
        "rate / rate that the stages' processor time allows": round(
            statistics.median(ours) * sum(stage_ms.values()) / 1000 / this_processor().cores, 3
        ),
    }


class StageClock:
    """Processor seconds of each stage, of all threads of this process, summed over frames."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, stage: str, work: Callable[[], T]) -> T:
        """Do the work and count it."""
        start = time.process_time()
        result = work()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.process_time() - start
        return result


def measure_stages(engine: Engine, clip: Path, output: Path) -> dict[str, float]:
    """Processor seconds a frame of each stage, alone: nothing else runs meanwhile.

    As in a run, a frame goes through the stages and is let go of: frames that are kept for the next stage
    would take fresh memory each time, and the operating system's work for that would count as the stage's.
    The engine alone works on many at once, which is why its inputs lie ready.
    """
    clock, settings = StageClock(), settings_for(engine.spec)
    with open_source(clip) as source:
        head = list(itertools.islice(source, PICTURE_FRAMES))
    finder = PictureFinder()
    for frame in head:
        finder.add(frame.luma())
    view = make_view(head[0].size, engine.spec.size, finder.picture())
    scaler, tracker = NetworkScaler(view), PolypTracker()
    with open_source(clip) as source:
        inputs = [scaler(frame) for frame in source]
    maps = clock.timed("engine", lambda: keep_busy(engine, inputs))
    with open_source(clip) as source, VideoSink(output, source) as sink:
        frames = iter(source)
        for probability in maps:
            frame = clock.timed("decode", partial(next, frames))
            clock.timed("resize", partial(scaler, frame))
            found = clock.timed("postprocess", partial(follow, tracker, probability, frame, view, settings))
            drawn = clock.timed("overlay", partial(draw, SegmentedFrame(frame, found), settings))
            clock.timed("encode", partial(sink.write, drawn))
        clock.timed("encode", sink.close)
    return {stage: seconds / len(maps) for stage, seconds in clock.seconds.items()}


def follow(
    tracker: PolypTracker, probability: np.ndarray, frame: Frame, view: View, settings: Settings
) -> Segmentation:
    """What a run does with a frame's probability."""
    smoothed, polyps = tracker(probability, frame.pts_seconds, view, settings)
    return Segmentation(frame.index, frame.pts_seconds, polyps, smoothed, view, settings.threshold)


@app.default
def measure_speed(
    *,
    bundle: str = DEFAULT_BUNDLE,
    seconds: float = 10.0,
    rounds: int = 3,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("docs/results"),
) -> None:
    """Measure the shipped bundle against plain PyTorch, and `rtpolyp run` against a plain OpenCV loop.

    Parameters
    ----------
    bundle
        A bundle's name or folder, with its weights.
    seconds
        Length of the phantom.
    rounds
        Turns of each measurement.
    output
        Folder for the report.
    """
    opened, processor = load_bundle(bundle), this_processor()
    plain = PlainNetwork(opened.model("weights"), opened.spec.size)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder, "phantom.mp4")
        render_clip(clip, seconds=seconds)
        report = {
            "command": " ".join(["python scripts/measure_speed.py", *sys.argv[1:]]),
            "processor": processor.name,
            "instruction sets": [flag for flag in processor.flags if flag in TELLING],
            "cores": processor.cores,
            "system": platform.platform(),
            "versions": {p: version(p) for p in ("torch", "openvino", "opencv-python", "av", "numpy")},
            "bundle": opened.spec.name,
            "size": opened.spec.size,
            "sha256": opened.spec.sha256,
            "clip": f"1280x1024 H.264 phantom, {seconds:g} s at 25 frames/s",
            "engine": measure_engine(bundle, plain, rounds),
            "run": measure_run(bundle, plain, clip, Path(folder), rounds),
        }
    text = json.dumps(report, indent=1)
    print(text)
    output.mkdir(parents=True, exist_ok=True)
    write_text(text + "\n", (output / "speed.json"))


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
