"""What tests of processes wait for and look at."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil

WAIT_SECONDS = 30.0  # for what takes a second on a quiet machine


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def spawned(pid: int) -> list[int]:
    """The processes that multiprocessing spawned for another, from their first moment on."""
    return [p.pid for p in psutil.Process(pid).children() if "spawn_main" in " ".join(p.cmdline())]


def shared_memory_names() -> set[str]:
    folder = Path("/dev/shm")
    return {path.name for path in folder.glob("psm_*")} if folder.is_dir() else set()
