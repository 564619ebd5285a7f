"""Measure a network served by Triton on this machine against the same engine without a server.

python scripts/measure_serving.py [--bundle pranet-if] [--precision fp32] [--seconds 20] [-o docs/results]

Three questions, answered in one run:

1. Round trip: one frame at a time through the local engine, gRPC and HTTP, in turns.
2. Rooms: four clients that each send a frame every 0.2 s by gRPC. What the server's dynamic batching made of
   them, and how long each frame took.
3. Loss: a live run whose server is killed and started again. Frames lost of the raw recording, the longest
   gap between two shown frames, and the time until outlines are back.

Client and server share the processor here, and no network lies between them.
"""

import itertools
import json
import os
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.inference import Engine, open_engine
from rtpolyp.inference.bundle import DEFAULT_BUNDLE
from rtpolyp.live.live_options import LiveOptions
from rtpolyp.live_run import run_live
from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.measure.figure_files import write_json
from rtpolyp.measure.statistics import percentile
from rtpolyp.phantom import render_phantom
from rtpolyp.serving.repository import export_repository
from rtpolyp.terminal.command_line import make_app, run_app
from rtpolyp.video.array_source import ArraySource
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.source import open_source
from rtpolyp.video.video_sink import VideoSink
from scripts.triton_server import TritonServer, triton

ROOMS, RATE = 4, 5.0  # clients, frames/s of each
LIVE_RATE, LIVE_SIZE = Fraction(20), (320, 256)
RENDERED_SECONDS, LIVE_SECONDS = 4, 90  # of the clip; the run is stopped before its end
MAX_AGE_MS = 1000.0  # of a result: client and server share this machine, so 150 ms may never be met
STEADY_SECONDS = 5.0  # of the live run before the server is lost, and after it is back
WAIT_SECONDS = 60.0

app = make_app("python scripts/measure_serving.py", __doc__)


@dataclass(frozen=True)
class Times:
    """Milliseconds from submit to result."""

    p50: float
    p99: float
    frames: int

    @classmethod
    def of(cls, seconds: list[float]) -> "Times":
        """Summarise single measurements."""
        p50, p99 = (round(1000 * percentile(seconds, rank), 2) for rank in (50, 99))
        return cls(p50, p99, len(seconds))


@app.default
def main(
    *,
    bundle: str = DEFAULT_BUNDLE,
    precision: str = "fp32",
    seconds: float = 20.0,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("docs/results"),
) -> None:
    """Measure, and write serving.json.

    Parameters
    ----------
    bundle
        A bundle's name or folder.
    precision
        fp32, bf16 or int8, of server and local engine alike.
    seconds
        Of the first two measurements, each.
    output
        The folder of serving.json.
    """
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work, open_engine(bundle, precision=precision) as local:
        folder, _ = export_repository(bundle, Path(work), precision=precision)
        frames = np.stack([resize_frame(one.bgr, local.spec) for one in render_phantom(12, (640, 512), 2)])
        with triton(Path(work)) as server:
            url = server.url(folder.name)
            figures: dict[str, Any] = {
                "bundle": local.spec.name,
                "digest": local.spec.digest,
                "local": local.description,
                "machine": asdict(this_machine()),
                "load_before": round(os.getloadavg()[0], 1),
                "round_trip_ms": round_trips(local, server, folder.name, frames, seconds),
                "rooms": rooms(server, folder.name, frames, seconds),
            }
            write_json(figures, output / "serving.json")  # should the last part fail on a busy machine
            figures["loss"] = loss(server, Path(work), url)
    write_json(figures, output / "serving.json")
    print(json.dumps({key: value for key, value in figures.items() if key != "machine"}, indent=1))


def round_trips(
    local: Engine, server: TritonServer, model: str, frames: np.ndarray, seconds: float
) -> dict[str, Any]:
    """Times of each way to the same masks, one frame at a time, in turns."""
    with _patient(server.url(model)) as grpc, _patient(server.url(model, "http")) as http:
        engines = {"local": local, "grpc": grpc, "http": http}
        taken: dict[str, list[float]] = {name: [] for name in engines}
        equal, deadline = True, time.monotonic() + seconds
        while time.monotonic() < deadline:
            for frame in frames:
                found = []
                for name, engine in engines.items():
                    begun = time.perf_counter()
                    found.append(engine.submit(frame[np.newaxis]).result().probability)
                    taken[name].append(time.perf_counter() - begun)
                equal &= all(np.array_equal(found[0], other) for other in found[1:])
    return {name: asdict(Times.of(of_it)) for name, of_it in taken.items()} | {"masks_equal": equal}


def rooms(server: TritonServer, model: str, frames: np.ndarray, seconds: float) -> dict[str, Any]:
    """What ROOMS clients at RATE frames/s got, and how many frames the server computed in one run."""

    def room(number: int) -> list[float]:
        taken = []
        with _patient(server.url(model)) as engine:
            begin = time.monotonic() + number / (RATE * ROOMS)
            for index in range(round(seconds * RATE)):
                time.sleep(max(0.0, begin + index / RATE - time.monotonic()))
                start = time.perf_counter()
                engine.submit(frames[index % len(frames)][np.newaxis]).result()
                taken.append(time.perf_counter() - start)
        return taken

    before, begun = _counts(server, model), time.monotonic()
    with ThreadPoolExecutor(ROOMS) as pool:
        taken = [one for of_room in pool.map(room, range(ROOMS)) for one in of_room]
    elapsed = time.monotonic() - begun
    inferences, executions = (now - old for now, old in zip(_counts(server, model), before, strict=True))
    return {
        "rooms": ROOMS,
        "frames_per_second_each": RATE,
        "frames_per_second_served": round(len(taken) / elapsed, 2),
        "round_trip_ms": asdict(Times.of(taken)),
        "frames_a_run": round(inferences / executions, 3),
    }


def loss(server: TritonServer, work: Path, url: str) -> dict[str, Any]:
    """Kill the server in the middle of a live run, start it again, and look at what was recorded."""
    clip, shown, raw, log = (work / name for name in ("clip.mp4", "shown.mp4", "raw.mp4", "log.jsonl"))
    _write_clip(clip)
    stop = threading.Event()

    def run() -> None:
        outputs, options = Outputs(video=shown, raw=raw, log=log), LiveOptions(max_age_ms=MAX_AGE_MS)
        run_live(str(clip), outputs, model=url, options=options, stop=stop)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        try:
            _await(lambda: _is_on(log))
            time.sleep(STEADY_SECONDS)
            server.kill()
            killed = time.monotonic()
            _await(lambda: not _is_on(log))
            off = time.monotonic()
            with triton(work, grpc_port=server.grpc_port):
                ready = time.monotonic()
                _await(lambda: _is_on(log))
                back = time.monotonic()
                time.sleep(STEADY_SECONDS)
                stop.set()
                running.result(WAIT_SECONDS)
        finally:
            stop.set()
    steps = {path.stem: np.diff(_times(path)) for path in (raw, shown)}
    return {
        "raw_frames": len(steps["raw"]) + 1,
        "raw_frames_missing": int(np.count_nonzero(steps["raw"] > 1.5 / float(LIVE_RATE))),
        "shown_frames": len(steps["shown"]) + 1,
        "shown_gap_ms": {
            "median": round(1000 * statistics.median(steps["shown"]), 1),
            "longest": round(1000 * float(steps["shown"].max()), 1),
        },
        "seconds_until_ai_off": round(off - killed, 2),
        "seconds_without_server": round(ready - killed, 2),
        "seconds_from_ready_to_ai_on": round(back - ready, 2),
    }


def _write_clip(path: Path) -> None:
    """A few seconds of phantom, forwards and backwards until the live run has its time."""
    pictures = [frame.bgr for frame in render_phantom(RENDERED_SECONDS, LIVE_SIZE, LIVE_RATE)]
    endless = itertools.cycle([*pictures, *reversed(pictures)])
    frames = itertools.islice(endless, round(LIVE_SECONDS * LIVE_RATE))
    source = ArraySource(frames, LIVE_SIZE, LIVE_RATE, path.name)
    with VideoSink(path, source) as sink:
        for frame in source:
            sink.write(frame)


def _patient(url: str) -> Engine:
    """A client that waits for 20 s: what is measured is how long it takes, and not whether it was in time."""
    return open_engine(url, optimise_for="throughput")


def _counts(server: TritonServer, model: str) -> tuple[int, int]:
    """Frames that the server computed, and runs that it took."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/v2/models/{model}/stats") as answer:
        (stats,) = json.load(answer)["model_stats"]
    return int(stats["inference_count"]), int(stats["execution_count"])


def _is_on(log: Path) -> bool:
    """Whether outlines are drawn now, of every frame or of fewer."""
    lines = log.read_text().splitlines() if log.exists() else []
    states = [event["state"] for event in map(json.loads, lines) if event["event"] == "ai"]
    return bool(states) and states[-1] in ("on", "reduced")


def _times(path: Path) -> np.ndarray:
    with open_source(path) as source:
        return np.array([frame.pts_seconds for frame in source])


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the live run did not change its state")
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
