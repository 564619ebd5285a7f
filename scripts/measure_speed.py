"""Measure the shipped bundle against plain PyTorch, and `rtpolyp run` against a plain OpenCV loop.

python scripts/measure_speed.py [--bundle pranet-if] [--seconds 10] [--rounds 3] [-o docs/results]

Everything is measured in turns within one run, since machines differ by four times and drift by a fifth:
quote the ratios. Three questions are answered:

1. Engine: one frame in the chosen precision, against the same network in PyTorch eager FP32, one frame at a
   time, all cores each.
2. Run: a 1280x1024 H.264 phantom to an overlay video, against the loop that a user writes first: OpenCV
   capture, the same network at the same size in PyTorch, addWeighted, VideoWriter.
3. Overhead: processor seconds of the whole run against the sum of its stages, each run alone.
"""

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from rtpolyp.imaging.geometry import make_view
from rtpolyp.imaging.picture import PICTURE_FRAMES, PictureFinder
from rtpolyp.inference import Engine, open_engine
from rtpolyp.inference.bundle import load_bundle
from rtpolyp.inference.processor import this_processor
from rtpolyp.phantom_clip import render_clip
from rtpolyp.pipeline import SegmentedFrame, draw, segment, settings_for
from rtpolyp.run import run_file
from rtpolyp.tracking.tracker import PolypTracker
from rtpolyp.video.network_scaler import NetworkScaler
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.source import open_source
from rtpolyp.video.video_sink import EncoderSettings, VideoSink
from train.augmentation.augment import normalise
from train.checkpoint import load_checkpoint, load_network

TELLING = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8")
BLOCK = 20  # inferences of one turn
PLAIN_CODEC = "mp4v"  # OpenCV's wheels have no H.264 encoder


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
        images = normalise(images, self.network.encoder.mean, self.network.encoder.std)
        return torch.sigmoid(self.network(images))[0, 0].numpy()


def plain_loop(network: PlainNetwork, clip: Path, output: Path) -> int:
    """Outline polyps the first way that comes to mind; return the number of frames."""
    capture = cv2.VideoCapture(str(clip))
    width, height = (int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    rate = capture.get(cv2.CAP_PROP_FPS)
    writer = cv2.VideoWriter(str(output), cv2.VideoWriter_fourcc(*PLAIN_CODEC), rate, (width, height))
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
    waiting, found = [], []
    for frame in frames:
        if len(waiting) == engine.capacity:
            found.append(waiting.pop(0).result().probability[0])
        waiting.append(engine.submit(frame[None]))
    return found + [future.result().probability[0] for future in waiting]


def measure_engine(bundle: str, plain: PlainNetwork, rounds: int) -> dict[str, Any]:
    """Question 1."""
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
    """Questions 2 and 3."""
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


def measure_stages(engine: Engine, clip: Path, output: Path) -> dict[str, float]:
    """Processor seconds a frame of each stage, run alone over the whole clip."""
    seconds: dict[str, float] = {}
    settings = settings_for(engine.spec)

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = work()
        seconds[name] = (time.process_time() - start) / len(frames or result)
        return result

    frames: list[Any] = []
    with open_source(clip) as source:
        frames = timed("decode", lambda: list(source))
        finder = PictureFinder()
        for frame in frames[:PICTURE_FRAMES]:
            finder.add(frame.luma())
        view = make_view(frames[0].size, engine.spec.size, finder.picture())
        scaler, tracker = NetworkScaler(view), PolypTracker()
        inputs = timed("resize", lambda: [scaler(frame) for frame in frames])
        maps = timed("engine", lambda: keep_busy(engine, inputs))

        def postprocess() -> list[Any]:
            return [tracker(p, f.pts_seconds, view, settings) for p, f in zip(maps, frames, strict=True)]

        timed("postprocess", postprocess)
    with open_source(clip) as source:
        results = list(segment(source, engine, settings))
    drawn = timed("overlay", lambda: [draw(SegmentedFrame(*result), settings) for result in results])
    with open_source(clip) as source:

        def encode() -> list[Any]:
            with VideoSink(output, source) as sink:
                for frame in drawn:
                    sink.write(frame)
            return drawn

        timed("encode", encode)
    return seconds


def main() -> None:
    """Measure, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bundle", default="pranet-if")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    bundle, processor = load_bundle(options.bundle), this_processor()
    plain = PlainNetwork(bundle.model("weights"), bundle.spec.size)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder, "phantom.mp4")
        render_clip(clip, seconds=options.seconds)
        report = {
            "command": " ".join(["python scripts/measure_speed.py", *sys.argv[1:]]),
            "processor": processor.name,
            "instruction sets": [flag for flag in processor.flags if flag in TELLING],
            "cores": processor.cores,
            "system": platform.platform(),
            "versions": {p: version(p) for p in ("torch", "openvino", "opencv-python", "av", "numpy")},
            "bundle": bundle.spec.name,
            "size": bundle.spec.size,
            "sha256": bundle.spec.sha256,
            "clip": f"1280x1024 H.264 phantom, {options.seconds:g} s at 25 frames/s",
            "engine": measure_engine(options.bundle, plain, options.rounds),
            "run": measure_run(options.bundle, plain, clip, Path(folder), options.rounds),
        }
    text = json.dumps(report, indent=1)
    print(text)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / f"speed-{processor.name.lower().replace(' ', '-')}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
