"""A live session in a process of its own, watched through its event log."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

START_SECONDS = 90.0  # for what takes two seconds on a quiet machine
END_SECONDS = 2.0  # promised, from the signal to the end of everything
SLACK_SECONDS = 0.6  # for a process that does not get a busy processor at once


class Session:
    """`python -m rtpolyp run …`; kills it at the end of a `with`."""

    def __init__(self, folder: Path, arguments: Sequence[object], **streams: Any) -> None:
        self.log = folder / "events.jsonl"
        environment = os.environ | {"RTPOLYP_CACHE": str(folder / "cache")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rtpolyp", "run", *map(str, arguments)],
            cwd=folder,
            env=environment,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            | streams,
        )

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exc: object) -> None:
        for child in self.children():
            child.kill()
        self.process.kill()
        self.process.wait()

    def children(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def events(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Those logged so far, of a kind and with these values."""
        lines = self.log.read_bytes().splitlines() if self.log.exists() else []
        found = [json.loads(line) for line in lines if line.endswith(b"}")]
        return [one for one in found if one["event"] == event and fields.items() <= one.items()]

    def wait(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            assert time.monotonic() < deadline
            assert self.process.poll() is None, f"ended with {self.process.returncode}"
            time.sleep(0.05)

    def seconds_to_end(self, *numbers: int, pause: float = 0.0) -> float:
        """Send signals, `pause` seconds apart; how long after the last one the process was gone."""
        for number in numbers[:-1]:
            self.process.send_signal(number)
            time.sleep(pause)
        begun = time.monotonic()
        self.process.send_signal(numbers[-1])
        self.process.wait(timeout=START_SECONDS)
        return time.monotonic() - begun
