"""How old a picture is when a browser paints it, and what viewers cost the pipeline.

python scripts/measure_browser.py [--seconds 20] [--rounds 2] [--priority 10 --priority 19 --priority idle]
    [--quiet] -o docs/results/browser-NAME.json

Latency: a session over a phantom of 1280x720 at 30 frames/s with a counter in each picture, and a Chromium on
the same machine that reads it off the screen, by WebRTC and by MJPEG. From the moment that the source gave a
frame to the browser's callback for its painting. The engine is a stub: the picture does not wait for it.

Viewers: a session with the real network at 30 frames/s and at 60 % of the rate that it can do alone, in turns
with nobody (the page is served), with one Chromium and seven MJPEG clients that do not decode, of which one
never reads, and with the same eight at the system's idle priority: they take only processor time that nobody
else wants, so that what remains is the cost of serving. Each is timed from when the Chromium shows a picture,
with the processor time of each process. With --priority, once for each priority of the web server's process.

Give --quiet only where nothing else ran: it is written into the result.
"""

import contextlib
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import numpy as np
import psutil
from cyclopts import App, Parameter
from numpy.typing import NDArray

from rtpolyp.inference.engine import Engine, Prediction
from rtpolyp.inference.isolated.engine import EngineRecipe
from rtpolyp.live import session
from rtpolyp.live.engines import Engines
from rtpolyp.live.live_options import LiveOptions
from rtpolyp.live.telemetry import Telemetry, Time
from rtpolyp.live_run import open_live_engine
from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.measure.figure_files import write_text
from rtpolyp.measure.statistics import percentile
from rtpolyp.pipeline import settings_for
from rtpolyp.spec import EngineSpec
from rtpolyp.terminal.command_line import run_app
from rtpolyp.video.outputs import Outputs
from scripts.browser.paced import Paced

SIZE, RATE = (1280, 720), 30.0
SHARE = 0.6  # of the engine's capacity
EIGHT = ("--reading", "6", "--stuck", "1")  # clients that do not decode, beside the Chromium
WARM_UP, TIMED = 10, 60  # frames, to find the capacity
SETTLE_SECONDS = 3.0
SPEC = EngineSpec("stub", "stub", "none", 96, 128, threshold=0.5, minimum_area=0.001, minimum_confidence=0.0)

Ages = list[tuple[float, float]]  # time.monotonic(), age of the overlay shown then in seconds

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


class Noted(Telemetry):
    """Telemetry that keeps when each overlay was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.ages: Ages = []

    def time(self, name: Time, seconds: float) -> None:
        """Take in one duration."""
        super().time(name, seconds)
        if name == "overlay_age":
            self.ages.append((time.monotonic(), seconds))


class Run:
    """A session on a thread, with its page."""

    def __init__(self, engine: Any, source: Paced) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        self.source, self.telemetry = source, Noted()
        options = LiveOptions(crop="off", max_age_ms=1000, serve=f"127.0.0.1:{self.port}")
        self._stop = threading.Event()
        arguments = (source, Engines(engine), settings_for(engine.spec), Outputs(), options)
        self._thread = threading.Thread(target=self._run, args=arguments)
        self._thread.start()
        while not self.telemetry.counts()["frames_displayed"]:
            time.sleep(0.1)

    def end(self) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()

    def watched(self, *flags: str) -> dict[str, Any]:
        """What an audience with these flags says, in the end."""
        command = [sys.executable, "-m", "scripts.browser.audience", str(self.port), *flags]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        said: dict[str, Any] = json.loads(answer.stdout)
        return said

    def give_priority(self, priority: str) -> None:
        """Run the web server's process with this niceness, or with the system's idle priority."""
        (pid,) = (one.pid for one in multiprocessing.active_children() if one.name == "rtpolyp-web")
        for thread in psutil.Process(pid).threads():  # those to come inherit it
            if priority == "idle":
                os.sched_setscheduler(thread.id, os.SCHED_IDLE, os.sched_param(0))
            else:
                os.setpriority(os.PRIO_PROCESS, thread.id, int(priority))

    def _run(self, *arguments: Any) -> None:
        with patch.object(session, "Telemetry", lambda: self.telemetry):
            session.run_session(*arguments, stop=self._stop)


class Processors:
    """Processor time of the session's processes, noted each half second."""

    def __init__(self) -> None:
        self._notes: list[tuple[float, dict[str, float]]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def between(self, begin: float, end: float) -> dict[str, float]:
        """Percent of one core by process, between two time.monotonic()."""
        self._stop.set()
        self._thread.join()
        within = [note for note in self._notes if begin <= note[0] <= end]
        (first, before), (last, after) = within[0], within[-1]
        return {name: round(100 * (after[name] - before[name]) / (last - first), 1) for name in before}

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            processes: dict[str, int | None] = {"session": os.getpid()}
            processes |= {
                one.name.removeprefix("rtpolyp-"): one.pid for one in multiprocessing.active_children()
            }
            with contextlib.suppress(psutil.NoSuchProcess):  # that of a session before
                times = {name: psutil.Process(pid).cpu_times() for name, pid in processes.items()}
                used = {name: one.user + one.system for name, one in times.items()}
                self._notes.append((time.monotonic(), used))


def latency(way: str, seconds: float) -> dict[str, Any]:
    """From capture to painting, milliseconds."""
    source = Paced(SIZE, RATE, seconds + 100)
    run = Run(Stub(), source)
    try:
        seen = run.watched("--way", way, "--seconds", str(seconds))["painted"]
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


def served(rate: float, seconds: float, *flags: str, priority: str | None = None) -> dict[str, Any]:
    """A session's overlay age, rate and processor time, with the viewers that these flags say, or nobody."""
    run, processors = (
        Run(open_live_engine(EngineRecipe("pranet-if")), Paced(SIZE, rate, seconds + 100)),
        Processors(),
    )
    if priority is not None:
        run.give_priority(priority)
    processors = Processors()
    said: dict[str, Any] = {}
    if flags:
        said = run.watched("--seconds", str(seconds), *flags)
        begin, end = said["from"], said["to"]
    else:
        time.sleep(SETTLE_SECONDS)
        begin, end = time.monotonic(), time.monotonic() + seconds
        time.sleep(seconds)
    used = processors.between(begin, end)
    run.end()
    ages = [1000 * age for at, age in run.telemetry.ages if begin <= at <= end]
    found: dict[str, Any] = {
        "overlay_age_median_ms": round(percentile(ages, 50), 1),
        "overlay_age_p99_ms": round(percentile(ages, 99), 1),
        "outlined_per_second": round(len(ages) / (end - begin), 2),
        "processor_percent": used,
    }
    if said:
        used["viewers"] = round(100 * said["processor_seconds"] / (end - begin), 1)
        found["painted_per_second"] = round(len(said["painted"]) / (end - begin), 1)
        found["read_mib"] = [round(one / 2**20, 1) for one in said["read_bytes"]]
    return found


def in_turns(seconds: float, count: int, priorities: Sequence[str | None]) -> Iterator[dict[str, Any]]:
    """Nobody and eight viewers in turns, at RATE and at SHARE of what the engine does."""
    with open_live_engine(EngineRecipe("pranet-if")) as engine:
        most = capacity(engine)
    for rate in (RATE,) * count + (SHARE * most,) * count:
        paced: dict[str, Any] = {"capacity": round(most, 1), "rate": round(rate, 1)}
        yield {"viewers": "nobody", **paced, **served(rate, seconds)}
        for priority in priorities:
            paced["priority"] = priority or "as shipped"
            few = served(rate, seconds, *EIGHT, "--yielding", priority=priority)
            yield {"viewers": "eight, yielding", **paced, **few}
            yield {"viewers": "eight", **paced, **served(rate, seconds, *EIGHT, priority=priority)}


@app.default
def main(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    seconds: float = 20.0,
    rounds: int = 2,
    priority: Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)] = None,
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
    priority
        Niceness of the web server's process, or "idle"; by default the one that it has.
    quiet
        Nothing else ran: it is written into the report.
    """
    result: dict[str, Any] = {
        "machine": asdict(this_machine()),
        "quiet": quiet,
        "load_average_before": os.getloadavg(),
        "size": SIZE,
        "rate": RATE,
        "seconds": seconds,
        "latency": {},
        "viewers": [],
    }

    def write() -> None:  # each figure at once: whoever is interrupted keeps those before
        write_text(json.dumps(result, indent=1) + "\n", output)

    for way in ("webrtc", "mjpeg"):
        result["latency"][way] = latency(way, seconds)
        write()
    for one in in_turns(seconds, rounds, priority or [None]):
        result["viewers"].append(one)
        write()
    result["load_average_after"] = os.getloadavg()
    write()
    print(json.dumps({name: result[name] for name in ("latency", "viewers")}, indent=1))


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
