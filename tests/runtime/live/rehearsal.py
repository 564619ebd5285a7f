"""A live session as a test sees it: what was shown when, what was said, and what the recordings hold."""

import contextlib
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

from rtpolyp.errors import InputError
from rtpolyp.live.engines import Engines
from rtpolyp.live.event_log import EventLog
from rtpolyp.live.live_options import LiveOptions, LiveSummary
from rtpolyp.live.session import run_session
from rtpolyp.settings import Settings
from rtpolyp.video.outputs import PATHS, Outputs
from rtpolyp.video.source import open_source
from tests.runtime.stub_engine import StubEngine

RATE = 5  # frames/s: what a busy machine delays a thread by is a fraction of its interval
INTERVAL = 1 / RATE  # seconds
LARGEST_GAP = 2 * INTERVAL  # promised
MAX_AGE_MS = 2500 / RATE  # results must outlive the interval, as 150 ms do at a camera's rate
WRITTEN = {"video": "out.mp4", "json": "out.jsonl", "log": "log.jsonl"}
LONGEST_SECONDS = 60.0  # of a session whose condition never comes true


class Plain(StubEngine):
    """In this process: nothing here depends on where the engine runs."""

    restarts = 0


@dataclass
class Watcher:
    """A display that notes when it was shown something, presses keys, and ends the session."""

    done: object = lambda watcher: False  # ends it
    keys: dict[int, str] = field(default_factory=dict)  # by number of the picture
    block: tuple[int, float] = (-1, 0.0)  # number of a picture that takes so many seconds
    told: list[dict[str, object]] = field(default_factory=list)  # events, as the log has them
    times: list[float] = field(default_factory=list)
    pictures: list[object] = field(default_factory=list)

    def show(self, frame):
        number = len(self.times)
        if number == self.block[0]:
            time.sleep(self.block[1])
        self.times.append(time.monotonic())
        self.pictures.append(frame)
        if self.done(self) or self.times[-1] - self.times[0] > LONGEST_SECONDS:
            return "q"
        return self.keys.get(number)

    @property
    def gaps(self):
        return gaps(self.times)

    def events(self, name):
        return [event for event in self.told if event["event"] == name]

    def states(self):
        return [event["state"] for event in self.events("ai")]


def rehearse(source, engine, folder, watcher=None, *, ladder=None, **changes) -> tuple[Watcher, LiveSummary]:
    """Run a session over `source` with an overlay recording, results and a log in `folder`."""
    watcher = watcher or Watcher()
    write = EventLog.write

    def write_and_note(log, event, **fields):  # in memory: reading the file may wait for its disk
        watcher.told.append({"event": event, "monotonic": time.monotonic(), **fields})
        write(log, event, **fields)

    paths = {name: folder / file for name, file in WRITTEN.items()}
    paths |= {name: changes.pop(name) for name in list(changes) if name in (*PATHS, "audio")}
    options = {"crop": "off", "max_age_ms": MAX_AGE_MS} | changes
    settings = Settings(threshold=0.5, minimum_area=0.001, minimum_confidence=0.0)
    with patch.object(EventLog, "write", write_and_note):
        summary = run_session(
            source,
            Engines(engine, ladder),
            settings,
            Outputs(**paths),
            LiveOptions(**options),
            display=watcher,
        )
    return watcher, summary


def gaps(times: list[float]) -> list[float]:
    """From each time to the next."""
    return [after - before for before, after in pairwise(times)]


def played(path: Path) -> list[float]:
    """The pts in seconds of what plays, up to where the file was cut off."""
    pts = []
    with open_source(path) as source, contextlib.suppress(InputError):
        pts.extend(frame.pts_seconds for frame in source)
    return pts
