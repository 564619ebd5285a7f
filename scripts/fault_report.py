"""Inject faults into live sessions with the bundle that ships, and report what became of the picture.

python scripts/fault_report.py [--seconds 12] [-o docs/results/faults.json]

Each session plays a phantom at 25 frames/s, records overlay and raw stream, and has one fault after four
seconds. The gap is the time between two pictures at the display, here one that notes when it was given
each; the promise is at most two frame intervals, 80 ms, at the 99.9th percentile. Writes JSON and, beside
it, the same as a Markdown table. A full disk is a real one, of 8 MiB, where the script may mount one, else
a limit on file sizes. Exit code 1 where a promise was not kept.
"""

import contextlib
import dataclasses
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from rtpolyp.errors import InputError
from rtpolyp.inference.isolated.engine import EngineRecipe, IsolatedEngine
from rtpolyp.live.engines import Engines
from rtpolyp.live.live_options import LiveOptions
from rtpolyp.live.session import run_session
from rtpolyp.measure.benchmark.conditions import Watch
from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.measure.figure_files import write_text
from rtpolyp.measure.statistics import percentile
from rtpolyp.phantom_clip import render_clip
from rtpolyp.pipeline import settings_for
from rtpolyp.terminal.command_line import make_app, run_app
from rtpolyp.verify.faults import (
    ENGINE_FAULTS,
    FAULT_SECONDS,
    SOURCE_FAULTS,
    Disturbed,
    SabotagedRecipe,
)
from rtpolyp.video.frame import Frame
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.source import open_live, open_source
from scripts.live.faults import small_disk, with_corrupt_packets

RATE = Fraction(25)  # frames/s
LIMIT_MS = 2000 / float(RATE)


app = make_app("python scripts/fault_report.py", __doc__, help_format="plaintext")


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


def played_seconds(path: Path) -> float:
    """The time from the first to the last frame that plays."""
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
        outputs = Outputs(video=recordings["overlay"], raw=recordings["raw"], log=log)
        if fault == "disk full":
            outputs = dataclasses.replace(outputs, log=None)
        watch = Watch()
        summary = run_session(
            disturbed,
            Engines(engine),
            settings_for(engine.spec),
            outputs,
            LiveOptions(),
            display=eye,
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


@app.default
def main(
    *,
    seconds: float = 12.0,
    faults: Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)] = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("docs/results/faults.json"),
) -> int:
    """Exit code 1 where a promise was not kept.

    Parameters
    ----------
    seconds
        Length of the clip.
    faults
        Some of them only.
    output
        The report; a table lies beside it.
    """
    rows: list[dict[str, Any]] = []
    names = ["none", *ENGINE_FAULTS, *SOURCE_FAULTS, "corrupt packets", "disk full", *SIGNALS]
    with tempfile.TemporaryDirectory() as scratch:
        clip = Path(scratch, "phantom.mp4")
        render_clip(clip, seconds=seconds, frame_rate=RATE)
        for name in faults or names:
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
    write_text(json.dumps({**report, "rows": rows}, indent=1) + "\n", output)
    command = f"`python scripts/fault_report.py`, {RATE} frames/s"
    heading = f"# Injected faults\n\n{command}; at most {LIMIT_MS:.0f} ms are promised.\n\n"
    write_text(heading + table(rows), output.with_suffix(".md"))
    return int(any(broken_promises(row) for row in rows))


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
