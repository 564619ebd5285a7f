"""Session: `rtpolyp run` on a hostile sender, and what it takes; Canary: a port that nobody is to visit."""

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

__all__ = ["Canary", "Session"]

MIB = 2**20
ENGINE = ("--engine", "pranet-if-fast", "--backend", "openvino", "--precision", "int8", "--threads", "1")
PATIENCE = (
    "--max-age",
    "1000",
)  # ms: among many sessions no result is too late, which would open more engines


class Canary:
    """A port of loopback that counts who comes."""

    def __init__(self) -> None:
        self.visits = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            self._listener.accept()[0].close()
            self.visits += 1


class Session:
    """`rtpolyp run` on a sender, in a process of its own."""

    def __init__(self, address: str, folder: Path) -> None:
        folder.mkdir()
        self._folder, self._errors = folder, folder / "stderr"
        outputs = ["-o", "out.mp4", "--record-raw", "raw.mp4", "--json", "out.jsonl"]
        outputs += ["--log", "events.jsonl", "--metrics", ":0"]
        command = [sys.executable, "-m", "rtpolyp", "run", address, *ENGINE, *PATIENCE, *outputs]
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=errors)
        self.begun = time.monotonic()

    def results(self) -> int:
        """Lines of JSON so far."""
        return _lines(self._folder / "out.jsonl")

    def said(self) -> list[str]:
        """The lines on stderr."""
        return self._errors.read_text(errors="replace").splitlines()

    def state(self) -> dict[str, float]:
        """What it takes now; raises psutil.NoSuchProcess when it is gone."""
        main = psutil.Process(self.process.pid)
        everything = [main, *main.children(recursive=True)]
        return {
            "memory_mib": round(sum(one.memory_info().rss for one in everything) / MIB, 1),
            "threads": sum(one.num_threads() for one in everything),
            "files": main.num_fds(),
            "stderr_lines": _lines(self._errors),
            "event_lines": _lines(self._folder / "events.jsonl"),
        }

    def end(self) -> dict[str, Any]:
        """By SIGTERM."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        return {"end_seconds": round(time.monotonic() - begun, 2), "exit": code, "stderr": self.said()}


def _lines(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes().count(b"\n")
    return 0
