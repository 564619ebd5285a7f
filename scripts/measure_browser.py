"""How old a picture is when a browser paints it, and what viewers cost the pipeline.

python scripts/measure_browser.py [--seconds 20] [--rounds 3] [--quiet] -o docs/results/browser-NAME.json

Latency: a session over a phantom of 1280x720 at 30 frames/s with a counter in each picture, and a Chromium on
the same machine that reads it off the screen, by WebRTC and by MJPEG. From the moment that the source gave a
frame to the browser's callback for its painting. The engine is a stub: the picture does not wait for it.

Viewers: a session with the real network at 60 % of the rate that it can do alone, with nobody (the page is
served) and with one Chromium and seven MJPEG clients that do not decode, one of which never reads; in turns.

Give --quiet only where nothing else ran: it is written into the result.
"""

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import App, Parameter
from numpy.typing import NDArray

from rtpolyp.inference.engine import Engine, Prediction
from rtpolyp.inference.isolated.engine import EngineRecipe
from rtpolyp.live.engines import Engines
from rtpolyp.live.live_options import LiveOptions
from rtpolyp.live.session import run_session
from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.measure.statistics import percentile
from rtpolyp.pipeline import settings_for
from rtpolyp.run import open_live_engine
from rtpolyp.spec import EngineSpec
from rtpolyp.terminal.command_line import run_app
from rtpolyp.video.outputs import Outputs
from scripts.browser.paced import Paced
from scripts.browser.watch import installed_chromium, painted, readers

SIZE, RATE = (1280, 720), 30.0
SHARE = 0.6  # of the engine's capacity
READING, STUCK = 6, 1  # clients that do not decode, beside the Chromium
WARM_UP, TIMED = 10, 60  # frames, to find the capacity
SPEC = EngineSpec("stub", "stub", "none", 96, 128, threshold=0.5, minimum_area=0.001, minimum_confidence=0.0)


app = App(name="python scripts/measure_browser.py", help=__doc__, help_format="plaintext", version_flags=())


class Stub:
    """An engine that finds nothing, at once."""

    backend = description = "stub"
    spec, capacity, batch, restarts = SPEC, 1, 1, 0

    def submit(self, frames: NDArray[np.uint8]) -> "Future[Prediction]":
        """No polyp."""
        future: Future[Prediction] = Future()
        future.set_result(Prediction(np.zeros(frames.shape[:3], np.uint8)))
        return future

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> "Stub":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Run:
    """A session on a thread, with its page and its telemetry."""

    def __init__(self, engine: Any, source: Paced) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        self.source, self.url = source, f"http://127.0.0.1:{self.port}/"
        self.json = Path(os.environ.get("TMPDIR", "/tmp")) / f"measure-browser-{self.port}.jsonl"
        options = LiveOptions(crop="off", max_age_ms=1000, serve=f"127.0.0.1:{self.port}")
        self._stop = threading.Event()
        settings = settings_for(engine.spec)
        arguments = (source, Engines(engine), settings, Outputs(json=self.json), options)
        self._thread = threading.Thread(target=run_session, args=arguments, kwargs={"stop": self._stop})
        self._thread.start()
        while not self._listens():
            time.sleep(0.1)

    def end(self) -> dict[str, Any]:
        """Stop; what the session counted and timed."""
        self._stop.set()
        self._thread.join()
        summary: dict[str, Any] = json.loads(self.json.read_text().splitlines()[-1])["summary"]
        self.json.unlink()
        return summary

    def _listens(self) -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        return False


def latency(chromium: str, way: str, seconds: float) -> dict[str, Any]:
    """From capture to painting, milliseconds."""
    source = Paced(SIZE, RATE, seconds + 100)
    run = Run(Stub(), source)
    try:
        seen = painted(chromium, run.url, way, seconds)
    finally:
        run.end()
    ages = [1000 * (at - source.captured[number]) for number, at in seen if number in source.captured]
    return {
        "painted": len(ages),
        "frames_per_second": round(len(ages) / seconds, 1),
        "median_ms": round(percentile(ages, 50), 1),
        "p99_ms": round(percentile(ages, 99), 1),
        "longest_ms": round(max(ages), 1),
    }


def capacity(engine: Engine) -> float:
    """Frames a second that the engine does alone, one after another."""
    frame = np.zeros((1, engine.spec.height, engine.spec.width, 3), np.uint8)
    for count in (WARM_UP, TIMED):
        begun = time.perf_counter()
        for _ in range(count):
            engine.submit(frame).result()
    return TIMED / (time.perf_counter() - begun)


def with_viewers(chromium: str, rate: float, seconds: float, *, watched: bool) -> dict[str, Any]:
    """A session's overlay age and rate."""
    run = Run(open_live_engine(EngineRecipe("pranet-if")), Paced(SIZE, rate, seconds + 60))
    begun, read = time.monotonic(), []
    if watched:
        with readers(run.port, READING, STUCK) as read:
            painted(chromium, run.url, "webrtc", seconds)
    else:
        time.sleep(seconds + 5)
    elapsed = time.monotonic() - begun
    summary = run.end()
    times, counts = summary["times_ms"], summary["session"]
    return {
        "overlay_age_median_ms": _of(times.get("overlay_age", []), 50),
        "overlay_age_p99_ms": _of(times.get("overlay_age", []), 99),
        "shown_per_second": round(counts["frames_displayed"] / elapsed, 2),
        "inferences_per_second": round(counts["inferences"] / elapsed, 2),
        "read_mib": [round(one / 2**20, 1) for one in read],
    }


def _of(pairs: list[list[float]], rank: float) -> float | None:
    total, seen = sum(count for _, count in pairs), 0.0
    for upper, count in pairs:
        seen += count
        if seen >= rank / 100 * total:
            return upper
    return None


def in_turns(chromium: str, seconds: float, count: int) -> Iterator[dict[str, Any]]:
    """Nobody and eight viewers in turns, at 60 % of what the engine does."""
    with open_live_engine(EngineRecipe("pranet-if")) as engine:
        most = capacity(engine)
    for _ in range(count):
        rate = min(RATE, SHARE * most)
        alone = with_viewers(chromium, rate, seconds, watched=False)
        watched = with_viewers(chromium, rate, seconds, watched=True)
        yield {"capacity": round(most, 1), "rate": round(rate, 1), "nobody": alone, "eight_viewers": watched}


@app.default
def main(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    seconds: float = 20.0,
    rounds: int = 3,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Measure and write.

    Parameters
    ----------
    output
        The report.
    seconds
        Of each session.
    rounds
        With nobody and with eight viewers, in turns.
    quiet
        Nothing else ran: it is written into the report.
    """
    chromium = installed_chromium()
    before = os.getloadavg()
    result = {
        "machine": asdict(this_machine()),
        "quiet": quiet,
        "load_average_before": before,
        "size": SIZE,
        "rate": RATE,
        "seconds": seconds,
        "latency": {way: latency(chromium, way, seconds) for way in ("webrtc", "mjpeg")},
        "viewers": list(in_turns(chromium, seconds, rounds)),
        "load_average_after": os.getloadavg(),
    }
    output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: result[name] for name in ("latency", "viewers")}, indent=1))


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
