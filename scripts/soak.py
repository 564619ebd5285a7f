"""Watch an RTSP stream for ten minutes as a user would, cut it for two seconds, and report what was seen.

    xvfb-run -a -s "-screen 0 1920x1080x24" python scripts/soak.py [--minutes 10] [-o docs/results/soak.json]

GStreamer's RTSP server (scripts/rtsp_server.py names its Debian packages) publishes a 1080p phantom of 30
frames/s by stream copy. One session shows it in a window, records what it shows and, by packet copy, the
stream itself. Each frame carries its number in its corner, and the server tells when it published which: so
the age of a picture is read from the picture that was given to the window, to the moment at which the window
had drawn it. Half-way a proxy between server and session ends all connections for two seconds. Exit code 1
where a promise was not kept.
"""

import contextlib
import dataclasses
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import psutil
from cyclopts import Parameter

from rtpolyp.errors import BackendError
from rtpolyp.inference.isolated.engine import EngineRecipe, IsolatedEngine
from rtpolyp.live.engines import Engines
from rtpolyp.live.ladder import Ladder, rungs_for
from rtpolyp.live.live_options import LiveOptions, LiveSummary
from rtpolyp.live.session import run_session
from rtpolyp.measure.benchmark.conditions import Watch
from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.measure.figure_files import write_text
from rtpolyp.measure.statistics import percentile
from rtpolyp.pipeline import settings_for
from rtpolyp.terminal.command_line import make_app, run_app
from rtpolyp.verify.counter import read_counter
from rtpolyp.video.frame import Frame
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.source import open_live, open_source
from rtpolyp.video.window import Window
from scripts.live.counted_clip import write_counted_clip
from scripts.live.proxy import Proxy
from scripts.live.server import RtspServer

RATE = Fraction(30)  # frames/s
SIZE = (1920, 1080)
LAP = 600  # frames, after which the published file begins again
CUT_SECONDS = 2.0
SETTLING_SECONDS = 10.0  # at the start; and a second after the cut: not counted
MIB = 2**20
PROMISES = {  # least or most, by the report's keys
    "frames_per_second": (29.5, None),
    "coverage": (0.9, None),
    "gap_p99.9_ms": (None, 2000 / float(RATE)),
    "recovery_seconds": (None, 5.0),
    "memory_growth_mib": (None, 50.0),
}


app = make_app("python scripts/soak.py", __doc__, help_format="plaintext")


class Sight(NamedTuple):
    """A picture at the display."""

    at: float  # time.monotonic(), when it was drawn
    number: int | None  # read from it


class Watcher:
    """A display that reads the number of each picture, and shows it in a window where there is a screen."""

    def __init__(self, window: Window | None) -> None:
        self.sights: list[Sight] = []
        self._window = window

    def show(self, frame: Frame) -> str | None:
        """Read, show, and note when."""
        number = read_counter(frame.luma())
        key = self._window.show(frame) if self._window is not None else None
        self.sights.append(Sight(time.monotonic(), number))
        return key


def age(sight: Sight, begun: Sequence[float]) -> float | None:
    """Seconds since the frame seen then was published; None where its number could not be read.

    `begun` are the times of the streams' first frames.
    """
    since = max((start for start in begun if start <= sight.at), default=None)
    if since is None or sight.number is None:
        return None
    latest = int((sight.at - since) * RATE)
    return sight.at - since - float((latest - (latest - sight.number) % LAP) / RATE)


class Cut:
    """Cuts a proxy once, in the background."""

    def __init__(self, proxy: Proxy, after_seconds: float) -> None:
        self.begun = self.ended = 0.0  # time.monotonic()
        threading.Thread(target=self._run, args=(proxy, after_seconds), daemon=True).start()

    def _run(self, proxy: Proxy, after_seconds: float) -> None:
        time.sleep(after_seconds)
        self.begun = time.monotonic()
        proxy.cut()
        time.sleep(CUT_SECONDS)
        proxy.restore()
        self.ended = time.monotonic()


class Memory:
    """Resident memory of this process and all its children but `apart`, MiB, each second."""

    def __init__(self, apart: set[int]) -> None:
        self.samples: list[float] = []
        self._apart = apart
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        this = psutil.Process()
        while True:
            total = 0
            for process in (this, *this.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    total += 0 if process.pid in self._apart else process.memory_info().rss
            self.samples.append(total / MIB)
            time.sleep(1)


def session(address: str, folder: Path, watcher: Watcher, stop: threading.Event) -> LiveSummary:
    """As `rtpolyp run ADDRESS --display -o … --record-raw …` wires it, but for the watcher."""
    recipe = EngineRecipe()
    options = LiveOptions()
    outputs = Outputs(
        video=folder / "overlay.mp4",
        raw=folder / "raw.mp4",
        json=folder / "results.jsonl",
        log=folder / "log",
    )
    with IsolatedEngine(recipe, deadline_seconds=1.0) as engine, open_live(address) as source:
        max_age, interval = options.max_age_ms / 1000, float(1 / RATE)
        rungs = rungs_for(recipe, engine.spec.size, interval, max_age, resizing_backend=engine.backend)
        engines = Engines(engine, Ladder(rungs, interval, max_age))
        settings = settings_for(engine.spec)
        return run_session(source, engines, settings, outputs, options, display=watcher, stop=stop)


def seen(sights: list[Sight], begun: Sequence[float], cut: Cut) -> dict[str, Any]:
    """What the display showed, in figures."""
    back = next(i for i, (a, b) in enumerate(pairwise(sights)) if b.at > cut.ended and a.number != b.number)
    recovered = sights[back + 1].at
    begin = sights[0].at + SETTLING_SECONDS
    steady = [
        part
        for part in (
            [sight for sight in sights if begin <= sight.at < cut.begun],
            [sight for sight in sights if sight.at > recovered + 1],
        )
        if part
    ]
    seconds = sum(part[-1].at - part[0].at for part in steady)
    fresh = sum(a.number != b.number for part in steady for a, b in pairwise(part))
    ages = [age(sight, begun) for part in steady for sight in part]
    ages_ms = [1000 * seconds_old for seconds_old in ages if seconds_old is not None]
    gaps = [1000 * (b.at - a.at) for a, b in pairwise(sights)]  # of the whole session, the cut included
    return {
        "steady_seconds": seconds,
        "pictures_per_second": sum(len(part) - 1 for part in steady) / seconds,
        "frames_per_second": fresh / seconds,
        "unreadable": sum(sight.number is None for sight in sights),
        "age_p50_ms": percentile(ages_ms, 50),
        "age_p99_ms": percentile(ages_ms, 99),
        "age_max_ms": max(ages_ms),
        "gap_p50_ms": percentile(gaps, 50),
        "gap_p99.9_ms": percentile(gaps, 99.9),
        "gap_max_ms": max(gaps),
        "cut_seconds": cut.ended - cut.begun,
        "recovery_seconds": recovered - cut.ended,
    }


def recorded(path: Path) -> dict[str, Any]:
    """What a recording plays: frames, seconds, and numbers that are missing between two of them."""
    pts: list[float] = []
    numbers: list[int | None] = []
    with open_source(path) as source:
        for frame in source:
            pts.append(frame.pts_seconds)
            numbers.append(read_counter(frame.luma()))
    steps = [(b - a) % LAP for a, b in pairwise(number for number in numbers if number is not None)]
    return {
        "frames": len(pts),
        "seconds": pts[-1] - pts[0],
        "missing_but_for_the_cut": sum(step - 1 for step in steps if 1 < step < CUT_SECONDS * RATE / 2),
        "mib": path.stat().st_size / MIB,
    }


def events(log: Path) -> Iterator[dict[str, Any]]:
    """The session's events that a user would have seen, in seconds after its start."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        if line["event"] in ("ai", "source", "recording failed"):
            kept = {key: value for key, value in line.items() if key not in ("monotonic", "time")}
            yield {"seconds": round(line["monotonic"] - lines[0]["monotonic"], 2)} | kept


def soak(minutes: float, folder: Path) -> dict[str, Any]:
    """Run the session and measure it."""
    clip = folder / "published.h264"
    write_counted_clip(clip, LAP, SIZE, RATE)
    stop = threading.Event()
    threading.Timer(60 * minutes, stop.set).start()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(RtspServer(clip, RATE))
        proxy = stack.enter_context(Proxy(server.port))
        window = None
        with contextlib.suppress(BackendError):
            window = stack.enter_context(Window("soak"))
        watcher = Watcher(window)
        memory = Memory({child.pid for child in psutil.Process().children()})
        cut, watch = Cut(proxy, 30 * minutes), Watch()
        summary = session(f"rtsp://127.0.0.1:{proxy.port}/stream", folder, watcher, stop)
        figures = seen(watcher.sights, server.begun, cut)
        conditions = dataclasses.asdict(watch.conditions())
    log = folder / "log"
    counts = json.loads(log.read_text().splitlines()[-1])["counts"]
    minute = min(60, len(memory.samples) // 2)
    return {
        "window": window is not None,
        "seconds": summary.seconds,
        **figures,
        "coverage": counts["frames_covered"] / counts["frames_displayed"],
        "inferences_per_second": counts["inferences"] / summary.seconds,
        "memory_growth_mib": float(
            np.median(memory.samples[-minute:]) - np.median(memory.samples[minute : 2 * minute])
        ),
        "memory_peak_mib": max(memory.samples),
        "memory_each_30_s_mib": [round(sample) for sample in memory.samples[::30]],
        "recordings": {name: recorded(folder / f"{name}.mp4") for name in ("raw", "overlay")},
        "events": list(events(log)),
        "errors": [str(error) for error in summary.errors],
        "counts": counts,
        "summary": summary.lines,
        "conditions": conditions,
    }


def broken_promises(report: dict[str, Any]) -> list[str]:
    """What the report shows that must not be."""
    broken = list(report["errors"])
    for key, (least, most) in PROMISES.items():
        if (least is not None and report[key] < least) or (most is not None and report[key] > most):
            broken.append(
                f"{key}: {report[key]:.3g}, promised {'at least' if least else 'at most'} {least or most:.3g}"
            )
    return broken


@app.default
def main(
    *,
    minutes: float = 10.0,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("docs/results/soak.json"),
) -> int:
    """Exit code 1 where a promise was not kept, 2 without a server.

    Parameters
    ----------
    minutes
        How long each session lasts.
    output
        The report.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = soak(minutes, Path(folder))
    report = {"machine": dataclasses.asdict(this_machine()), **report, "broken": broken_promises(report)}
    write_text(json.dumps(report, indent=1) + "\n", output)
    print(json.dumps(report, indent=1))
    return int(bool(report["broken"]))


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
