"""Inject faults into live sessions with the bundle that ships, and report what became of the picture.

python scripts/fault_report.py [--seconds 12] [-o docs/results/faults.json]

Each session plays a phantom at 25 frames/s, records overlay and raw stream, and has one fault after four
seconds. The gap is the time between two pictures at the display, here one that notes when it was given
each; the promise is at most two frame intervals, 80 ms, at the 99.9th percentile. Writes JSON and, beside
it, the same as a Markdown table. A full disk is a real one, of 8 MiB, where the script may mount one, else
a limit on file sizes. Exit code 1 where a promise was not kept.
"""

import argparse
import contextlib
import ctypes
import dataclasses
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from rtpolyp.cli.demo import render_clip
from rtpolyp.errors import InputError
from rtpolyp.inference.isolated.engine import EngineRecipe, IsolatedEngine
from rtpolyp.live.engines import Engines
from rtpolyp.live.options import LiveOptions
from rtpolyp.live.session import run_live
from rtpolyp.measure.benchmark.conditions import Watch
from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.measure.statistics import percentile
from rtpolyp.pipeline import settings_for
from rtpolyp.video.frame import Frame
from rtpolyp.video.live.contract import Outage
from rtpolyp.video.source import open_live, open_source

RATE = Fraction(25)  # frames/s
FAULT_SECONDS = 4.0  # after the session's start
STALL_SECONDS = 2.0
DISK_MIB = 8
LIMIT_MS = 2000 / float(RATE)


def out_of_memory(engine: Any, frames: np.ndarray) -> Any:
    """A real MemoryError: the process may have 64 MiB more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (64 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
    np.ones(1 << 30, np.uint8)


def raises(engine: Any, frames: np.ndarray) -> Any:
    """As a library does that cannot go on."""
    raise RuntimeError("injected")


def hangs(engine: Any, frames: np.ndarray) -> Any:
    """For longer than anybody waits."""
    time.sleep(5)
    return engine.submit(frames)


def answers_garbage(engine: Any, frames: np.ndarray) -> Any:
    """A map that is a row too small."""
    future = engine.submit(frames)
    prediction = future.result()
    garbage = dataclasses.replace(prediction, probability=prediction.probability[:, 1:])
    future.result = lambda timeout=None: garbage
    return future


ENGINE_FAULTS: dict[str, Callable[[Any, np.ndarray], Any]] = {
    "engine raises": raises,
    "engine hangs 5 s": hangs,
    "engine returns garbage": answers_garbage,
    "engine runs out of memory": out_of_memory,
    "SIGSEGV in the engine": lambda engine, frames: ctypes.string_at(0),
    "SIGKILL of the engine": lambda engine, frames: os.kill(os.getpid(), signal.SIGKILL),
}


class Sabotaged:
    """An engine with one fault, at the request that finds the file `fuse`."""

    def __init__(self, engine: Any, fault: str, fuse: Path) -> None:
        self._engine, self._fault, self._fuse = engine, fault, fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def submit(self, frames: np.ndarray) -> Any:
        """As Engine.submit, but for the fault."""
        if not self._fuse.exists():
            return self._engine.submit(frames)
        self._fuse.unlink()
        return ENGINE_FAULTS[self._fault](self._engine, frames)


@dataclasses.dataclass(frozen=True)
class SabotagedRecipe:
    """The shipped bundle's recipe with a fault."""

    fault: str
    fuse: Path

    def __call__(self) -> Any:
        """Open it."""
        return Sabotaged(EngineRecipe()(), self.fault, self.fuse)


class Disturbed:
    """A live source whose frames get lost for a while, as an outage where a `reason` is given."""

    def __init__(self, source: Any, reason: str | None) -> None:
        self._source, self._reason = source, reason
        self.outage: Outage | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    @property
    def tap(self) -> Any:
        """The source's."""
        return self._source.tap

    @tap.setter
    def tap(self, tap: Any) -> None:
        self._source.tap = tap

    def __iter__(self) -> Iterator[Frame]:
        begun = time.monotonic()
        for frame in self._source:
            lost = FAULT_SECONDS <= time.monotonic() - begun < FAULT_SECONDS + STALL_SECONDS
            if lost and self._reason and self.outage is None:
                self.outage = Outage(self._reason, time.monotonic())
            if not lost:
                self.outage = None
                yield frame


class Eye:
    """A display that notes when it was given a picture, and lights the fuse."""

    def __init__(self, fuse: Path | None) -> None:
        self.times: list[float] = []
        self._fuse = fuse

    def show(self, frame: Frame) -> None:
        """Note the time."""
        self.times.append(time.monotonic())
        if self._fuse is not None and self.times[-1] - self.times[0] > FAULT_SECONDS:
            self._fuse.touch()
            self._fuse = None


def with_corrupt_packets(clip: Path, target: Path) -> Path:
    """A copy in which every third packet of a second is noise but for its head and tail."""
    content, rng = bytearray(clip.read_bytes()), np.random.default_rng(0)
    with av.open(str(clip)) as container:
        for index, packet in enumerate(container.demux(video=0)):
            if packet.pts is None or index % 3 or not 0 <= packet.pts * packet.time_base - FAULT_SECONDS < 1:
                continue
            begin, end = packet.pos + packet.size // 4, packet.pos + packet.size * 3 // 4
            content[begin:end] = rng.bytes(end - begin)
    target.write_bytes(content)
    return target


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[str]:
    """Make `folder` a disk that fills up within a session; say of what kind."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0:
        try:
            yield f"a disk of {DISK_MIB} MiB"
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        return
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK_MIB << 20, hard))
    try:
        yield f"files limited to {DISK_MIB} MiB"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def played_seconds(path: Path) -> float:
    """From the first to the last frame that plays."""
    pts: list[float] = []
    with contextlib.suppress(InputError), open_source(path) as source:
        pts.extend(frame.pts_seconds for frame in source)
    return pts[-1] - pts[0] if pts else 0.0


def rehearse(fault: str, clip: Path, folder: Path) -> dict[str, Any]:
    """One session with one fault."""
    fuse = folder / "fuse"
    recipe = SabotagedRecipe(fault, fuse) if fault in ENGINE_FAULTS else EngineRecipe()
    eye = Eye(fuse if fault in ENGINE_FAULTS else None)
    log, recordings = folder / "log.jsonl", {"overlay": folder / "out.mp4", "raw": folder / "raw.mp4"}
    engine = IsolatedEngine(recipe, deadline_seconds=1.0)
    with open_live(clip) as source:
        disturbed: Any = source
        if fault in SOURCE_FAULTS:
            disturbed = Disturbed(source, SOURCE_FAULTS[fault])
        options = LiveOptions(output=recordings["overlay"], raw=recordings["raw"], log=log)
        if fault == "disk full":
            options = dataclasses.replace(options, log=None)
        watch = Watch()
        summary = run_live(
            disturbed, Engines(engine), settings_for(engine.spec), options, header={}, display=eye
        )
    gaps = [1000 * (after - before) for before, after in pairwise(eye.times)]
    lines = log.read_text().splitlines() if log.exists() else []
    events = [json.loads(line) for line in lines]
    begun = events[0]["monotonic"] if events else 0.0
    return {
        "fault": fault,
        "pictures": len(eye.times),
        "gap_p50_ms": percentile(gaps, 50),
        "gap_p99.9_ms": percentile(gaps, 99.9),
        "gap_max_ms": max(gaps),
        "badges": [
            f"{event['monotonic'] - begun:.1f} s: {said(event)}"
            for event in events
            if event["event"] in ("ai", "source")
        ],
        "errors": [str(error).replace(str(folder), "") for error in summary.errors],
        "session_seconds": eye.times[-1] - eye.times[0],
        "played_seconds": {name: played_seconds(path) for name, path in recordings.items()},
        "summary": summary.lines,
        "conditions": dataclasses.asdict(watch.conditions()),
    }


def said(event: dict[str, Any]) -> str:
    """What a badge said from then on."""
    if event["event"] == "source":
        return "signal" if event["signal"] else f"NO SIGNAL ({event['reason']})"
    return f"AI {event['state']}" + (f" ({event['reason']})" if event["reason"] else "")


SOURCE_FAULTS = {"decoder stalls 2 s": None, "camera unplugged and back": "No such device"}
SIGNALS = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL}


def interrupt(name: str, clip: Path, folder: Path) -> dict[str, Any]:
    """A session of the command line, ended by a signal."""
    results = folder / "out.jsonl"
    command = [sys.executable, "-m", "rtpolyp", "run", str(clip), "--latest", "--json", str(results)]
    paths = {"overlay": folder / "out.mp4", "raw": folder / "raw.mp4"}
    command += ["-o", str(paths["overlay"]), "--record-raw", str(paths["raw"])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while not (results.exists() and results.read_bytes().count(b"\n") > 1):
        if process.poll() is not None:
            raise SystemExit(f"{name}: the session ended before its first result")
        time.sleep(0.02)
    begun = time.monotonic()
    time.sleep(FAULT_SECONDS)
    sent = time.monotonic()
    process.send_signal(SIGNALS[name])
    output, _ = process.communicate()
    gap = re.search(r"display gap: .*p99\.9 ([\d.]+), longest ([\d.]+)", output)
    return {
        "fault": name,
        "gap_p99.9_ms": float(gap[1]) if gap else None,
        "gap_max_ms": float(gap[2]) if gap else None,
        "exit": process.returncode,
        "end_seconds": time.monotonic() - sent,
        "session_seconds": sent - begun,
        "played_seconds": {kind: played_seconds(path) for kind, path in paths.items()},
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The report for people."""
    lines = [
        "| fault | gap p99.9 ms | longest ms | overlay plays | raw plays | of | said |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        gap = (
            "{:.0f} | {:.0f}".format(row["gap_p99.9_ms"], row["gap_max_ms"]) if row["gap_max_ms"] else "– | –"
        )
        played = " | ".join(f"{seconds:.1f} s" for seconds in row["played_seconds"].values())
        notes = [*row.get("badges", ()), *row.get("errors", ())]
        if "exit" in row:
            notes.append(f"exit {row['exit']} after {row['end_seconds']:.1f} s")
        of = f"{row['session_seconds']:.1f} s"
        lines.append(f"| {row['fault']} | {gap} | {played} | {of} | {'; '.join(notes)} |")
    return "\n".join(lines) + "\n"


def broken_promises(row: dict[str, Any]) -> list[str]:
    """What the row shows that must not be."""
    broken = []
    if row["gap_p99.9_ms"] is not None and row["gap_p99.9_ms"] > LIMIT_MS:
        broken.append(f"gap {row['gap_p99.9_ms']:.0f} ms")
    if row["fault"] != "disk full" and min(row["played_seconds"].values()) < row["session_seconds"] - 1:
        broken.append(f"recordings end early: {row['played_seconds']}")
    return broken


def main() -> int:
    """Exit code 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--faults", nargs="*", help="some of them only")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/results/faults.json"))
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    names = ["none", *ENGINE_FAULTS, *SOURCE_FAULTS, "corrupt packets", "disk full", *SIGNALS]
    with tempfile.TemporaryDirectory() as scratch:
        clip = Path(scratch, "phantom.mp4")
        render_clip(clip, seconds=arguments.seconds, frame_rate=RATE)
        for name in arguments.faults or names:
            with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
                played = clip
                if name == "corrupt packets":
                    played = with_corrupt_packets(clip, Path(scratch, "corrupt.mp4"))
                if name == "disk full":
                    print(stack.enter_context(small_disk(Path(folder))))
                run = interrupt if name in SIGNALS else rehearse
                rows.append(run(name, played, Path(folder)))
            print(table(rows[-1:]).splitlines()[-1], *broken_promises(rows[-1]))
    report = {"frame_rate": float(RATE), "limit_ms": LIMIT_MS, "machine": dataclasses.asdict(this_machine())}
    arguments.output.write_text(json.dumps({**report, "rows": rows}, indent=1) + "\n")
    command = f"`python scripts/fault_report.py`, {RATE} frames/s"
    heading = f"# Injected faults\n\n{command}; at most {LIMIT_MS:.0f} ms are promised.\n\n"
    arguments.output.with_suffix(".md").write_text(heading + table(rows))
    return int(any(broken_promises(row) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
