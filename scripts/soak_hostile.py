"""Ten minutes of each hostile sender: what it costs a live session, and how fast that ends by SIGTERM.

python scripts/soak_hostile.py [--minutes 10] [--at-once 8] [--only tcp udp] [-o docs/results/hostile.json]

Each sender (scripts/hostile) gives a good picture at first and turns evil after some results. The session
records overlay, raw stream, JSON, events and metrics all the while. Every five seconds the resident memory
and the threads of its processes, its open files, and the lines on stderr and in the event log are read.
`start` is half a minute after the turn, when the AI has long given up. They run side by side in groups, each
session in half a GiB; `huge` is allowed one and a half more.
Then each sender is opened once more, evil from the first byte, which must end by itself in one line. Writes
JSON and, beside it, tables in Markdown; what an earlier call measured of other protocols stays. Exit code 1
where a promise was not kept.
"""

import contextlib
import dataclasses
import json
import math
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import av
import psutil
from cyclopts import App, Parameter

from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.measure.figure_files import write_text
from rtpolyp.phantom_clip import render_clip
from rtpolyp.terminal.command_line import run_app
from scripts.hostile.server import KINDS, HostileServer
from scripts.hostile.session import Canary, Session

CLIP_SECONDS = 8.0
START_SECONDS = 120.0  # until a session has its first results, among many on a busy machine
SETTLING_SECONDS = 30.0
WATCH_SECONDS = 5.0
FIRST_AT_ONCE = 4  # sessions
RESULTS = 10  # lines of JSON, until a sender turns
NOT_FIRST = ("flapping", "growing", "lost parts")  # kinds that are of no interest from the first byte
PROMISES = {
    "memory_mib": 50,
    "threads": 12,
    "files": 12,
    "stderr_lines": 200,
}  # growth from start to the most
HUGE_MIB = 1536  # of memory, where a transport stream brings 16 streams of pictures that are too large
END_SECONDS = 2.0
COLUMNS = ("memory_mib", "threads", "files", "stderr_lines", "event_lines")

app = App(name="python scripts/soak_hostile.py", help=__doc__, help_format="plaintext", version_flags=())


def make_clip(path: Path) -> None:
    """A phantom as a transport stream."""
    render_clip(path.with_suffix(".mp4"), seconds=CLIP_SECONDS, size=(160, 128), frame_rate=Fraction(10))
    with av.open(str(path.with_suffix(".mp4"))) as source, av.open(str(path), "w") as out:
        video = source.streams.video[0]
        copy = out.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.dts is not None:
                packet.stream = copy
                out.mux(packet)


class Run:
    """One session with one sender, which turns once there are results."""

    def __init__(self, protocol: str, kind: str, server: HostileServer, session: Session) -> None:
        self.protocol, self.kind, self.server, self.session = protocol, kind, server, session
        self.turned_at = math.inf
        self.states: list[dict[str, float]] = []

    def turn(self) -> None:
        """Wait for results, and let the sender turn; raises SystemExit where none come."""
        while self.session.results() < RESULTS:
            late = time.monotonic() > self.session.begun + START_SECONDS
            if late or self.session.process.poll() is not None:
                raise SystemExit(f"{self.protocol}, {self.kind}: no results; {self.session.said()}")
            time.sleep(0.1)
        self.server.turn()
        self.turned_at = time.monotonic()
        print(f"{self.protocol}, {self.kind}: turned", flush=True)

    def watch(self) -> None:
        """Note its state, from half a minute after the turn on."""
        if time.monotonic() > self.turned_at + SETTLING_SECONDS:
            with contextlib.suppress(psutil.NoSuchProcess):
                self.states.append(self.session.state())

    def end(self) -> dict[str, Any]:
        """End the session; a row of the report."""
        states, self.states = self.states, []
        self.turned_at = math.inf
        moments = {"start": states[0], "middle": states[len(states) // 2], "end": states[-1]}
        figures = {
            name: {moment: state[name] for moment, state in moments.items()}
            | {"most": max(state[name] for state in states)}
            for name in COLUMNS
        }
        row = {"protocol": self.protocol, "kind": self.kind, "connections": self.server.connections}
        return {**row, **figures, **self.session.end()}


def soak(
    senders: list[tuple[str, str]], clip: Path, folder: Path, minutes: float
) -> Iterator[dict[str, Any]]:
    """Sessions side by side, each with its own sender."""
    canary, over = Canary(), threading.Event()
    runs: list[Run] = []

    def watch() -> None:
        while not over.wait(WATCH_SECONDS):
            for run in tuple(runs):
                run.watch()

    with contextlib.ExitStack() as stack:
        stack.callback(over.set)
        threading.Thread(target=watch, daemon=True).start()
        for protocol, kind in senders:
            server = stack.enter_context(HostileServer(protocol, kind, clip, CLIP_SECONDS, canary.port))
            runs.append(Run(protocol, kind, server, Session(server.address, folder / f"{protocol} {kind}")))
            stack.callback(runs[-1].session.process.kill)
            runs[-1].turn()
        for run in tuple(runs):
            seconds = run.turned_at + SETTLING_SECONDS + 60 * minutes - time.monotonic()
            time.sleep(max(0.0, seconds))
            runs.remove(run)
            time.sleep(WATCH_SECONDS)  # it may be watched at this moment
            yield {**run.end(), "canary_visits": canary.visits}


def first_byte(protocol: str, kind: str, clip: Path, folder: Path) -> dict[str, Any]:
    """A sender that is evil from the first byte: how the program ends."""
    canary = Canary()
    with HostileServer(protocol, kind, clip, CLIP_SECONDS, canary.port) as server:
        server.turn()
        session = Session(server.address, folder / f"{protocol} {kind} first")
        try:
            code = session.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            session.process.kill()
            code = None
        return {
            "protocol": protocol,
            "kind": kind,
            "seconds": round(time.monotonic() - session.begun, 1),
            "exit": code,
            "stderr": session.said(),
            "canary_visits": canary.visits,
        }


def broken_promises(row: dict[str, Any]) -> list[str]:
    """What a row shows that must not be."""
    broken = [] if not row["canary_visits"] else ["another port was visited"]
    if "end_seconds" not in row:
        ended = row["exit"] == 2 and len(row["stderr"]) == 1
        return broken + ([] if ended else [f"exit {row['exit']}, {len(row['stderr'])} lines"])
    promises = PROMISES | ({"memory_mib": HUGE_MIB} if row["kind"] == "huge" else {})
    for name, limit in promises.items():
        if (growth := row[name]["most"] - row[name]["start"]) > limit:
            broken.append(f"{name} grew by {growth:g}")
    if row["end_seconds"] > END_SECONDS or row["exit"] not in (2, 130):  # 2: a recording had failed
        broken.append(f"exit {row['exit']} after {row['end_seconds']} s")
    return broken


def tables(rows: list[dict[str, Any]], first: list[dict[str, Any]]) -> str:
    """The report for people."""
    lines = [
        "| sender | memory, MiB | threads | open files | stderr, lines | events | connections | SIGTERM, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [
            " · ".join(f"{row[name][moment]:.0f}" for moment in ("start", "middle", "end", "most"))
            for name in COLUMNS
        ]
        sender = f"{row['protocol']}, {row['kind']}"
        lines.append(f"| {sender} | {' | '.join(cells)} | {row['connections']} | {row['end_seconds']:.1f} |")
    lines += [
        "",
        "Evil from the first byte:",
        "",
        "| sender | ends after, s | exit | says |",
        "|---|---|---|---|",
    ]
    for row in first:
        said = "; ".join(row["stderr"])
        lines.append(f"| {row['protocol']}, {row['kind']} | {row['seconds']:.0f} | {row['exit']} | {said} |")
    return "\n".join(lines) + "\n"


def others(output: Path, protocols: set[str]) -> list[dict[str, Any]]:
    """What an earlier report has of protocols that are not measured anew."""
    parts = json.loads(output.read_text()) if output.is_file() else []
    for part in parts:
        for rows in ("turned", "first_byte"):
            part[rows] = [row for row in part[rows] if row["protocol"] not in protocols]
        part["broken"] = [line for line in part["broken"] if line.split(",")[0] not in protocols]
    return [part for part in parts if part["turned"]]


def page(part: dict[str, Any]) -> str:
    """What one call measured, for people."""
    names = " ".join(dict.fromkeys(row["protocol"] for row in part["turned"]))
    machine = part["machine"]
    broken = "".join(f"- {line}\n" for line in part["broken"]) or "- none\n"
    return (
        f"\n## {names}\n\n`python scripts/soak_hostile.py --only {names}`: {part['minutes']:g} minutes each, "
        f"{part['at_once']} at once, on {machine['processor']} with {machine['cores']} cores, "
        f"revision {machine['revision']}. Figures are start · middle · end · most.\n\n"
        f"{tables(part['turned'], part['first_byte'])}\nPromises that were not kept:\n\n{broken}"
    )


@app.default
def main(
    *,
    minutes: float = 10.0,
    at_once: int = 8,
    only: Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)] = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("docs/results/hostile.json"),
) -> int:
    """Exit code 1 where a promise was not kept.

    Parameters
    ----------
    minutes
        How long each sender is evil.
    at_once
        Sessions of a group, which run side by side.
    only
        Protocols; all by default.
    output
        The report; a table lies beside it.
    """
    senders = [(protocol, kind) for protocol in only or KINDS for kind in KINDS[protocol]]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clip = folder / "clip.ts"
        make_clip(clip)
        groups = [senders[start : start + at_once] for start in range(0, len(senders), at_once)]
        rows = [row for group in groups for row in soak(group, clip, folder, minutes)]
        with ThreadPoolExecutor(FIRST_AT_ONCE) as pool:
            evil = [sender for sender in senders if sender[1] not in NOT_FIRST]
            first = list(pool.map(lambda sender: first_byte(sender[0], sender[1], clip, folder), evil))
    broken = [
        f"{row['protocol']}, {row['kind']}: {'; '.join(found)}"
        for row in rows + first
        if (found := broken_promises(row))
    ]
    machine = dataclasses.asdict(this_machine())
    part = {"minutes": minutes, "at_once": at_once, "machine": machine, "broken": broken}
    parts = [
        *others(output, {row["protocol"] for row in rows}),
        {**part, "turned": rows, "first_byte": first},
    ]
    write_text(json.dumps(parts, indent=1) + "\n", output)
    write_text("# Hostile senders\n" + "".join(map(page, parts)), output.with_suffix(".md"))
    print(*broken, sep="\n")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
