"""What can go wrong in a live session, made to go wrong: in the engine, and in the source."""

import ctypes
import dataclasses
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rtpolyp.inference.isolated.engine import EngineRecipe
from rtpolyp.video.contract import Outage
from rtpolyp.video.frame import Frame

__all__ = ["ENGINE_FAULTS", "FAULT_SECONDS", "SOURCE_FAULTS", "Disturbed", "SabotagedRecipe"]

FAULT_SECONDS = 4.0  # after the session's start
STALL_SECONDS = 2.0
SOURCE_FAULTS = {"decoder stalls 2 s": None, "camera unplugged and back": "No such device"}


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
    """An engine's recipe with a fault."""

    fault: str  # key of ENGINE_FAULTS
    fuse: Path  # a file; while it exists, the next request has the fault, and removes it
    recipe: EngineRecipe = dataclasses.field(default_factory=EngineRecipe)

    def __call__(self) -> Any:
        """Open it."""
        return Sabotaged(self.recipe(), self.fault, self.fuse)


class Disturbed:
    """A live source whose frames get lost for a while, as an outage where a `reason` is given."""

    def __init__(self, source: Any, reason: str | None) -> None:
        self._source, self._reason = source, reason
        self.outage: Outage | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    @property
    def tap(self) -> Any:
        """The packet tap of the source."""
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
