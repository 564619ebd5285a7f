"""Engines that fail in every way that a native library does, as recipes for another process."""

import ctypes
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from rtpolyp.errors import EngineError
from rtpolyp.spec import EngineSpec
from tests.runtime.stub_engine import StubEngine

HANG_SECONDS = 5.0


def _raise(exception: Exception) -> NoReturn:
    raise exception


def _run_out_of_memory() -> None:
    """For real: the process may have 64 MiB more than it has, and asks for a GiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (64 << 20), limits[1]))
    try:
        np.ones(1 << 30, np.uint8)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


# Each gets the right answer and returns the wrong one, where it returns at all.
FAULTS: dict[str, Callable[[np.ndarray], object]] = {
    "raise": lambda found: _raise(RuntimeError("the library\nis unhappy")),
    "MemoryError": lambda found: _raise(MemoryError()),
    "out of memory": lambda found: _run_out_of_memory(),
    "shape": lambda found: found[:, :-1],
    "broadcastable": lambda found: found[:, :1, :1],
    "dtype": lambda found: found.astype(np.float32),
    "nothing": lambda found: None,
    "hang": lambda found: (time.sleep(HANG_SECONDS), found)[1],
    "hang with the GIL": lambda found: ctypes.PyDLL(None).sleep(int(HANG_SECONDS)),
    "SIGKILL": lambda found: os.kill(os.getpid(), signal.SIGKILL),
    "SIGSEGV": lambda found: ctypes.string_at(0),
    "exit": lambda found: os._exit(3),
}


class FaultyEngine(StubEngine):
    """Has a fault at some requests, counted from 0, which is the one that warms an isolated engine up."""

    def __init__(self, spec: EngineSpec, fault: str, at: Container[int]) -> None:
        super().__init__(spec, capacity=2)
        self._fault, self._at, self._count = FAULTS[fault], at, 0

    def _infer(self, slot: int, count: int) -> np.ndarray:
        index, self._count = self._count, self._count + 1
        found = super()._infer(slot, count)
        return self._fault(found) if index in self._at else found


@dataclass(frozen=True)
class Faulty:
    """Opens a FaultyEngine in the first `lives` processes, a sound engine in later ones."""

    spec: EngineSpec
    starts: Path  # gets one byte from each process that starts
    fault: str
    at: Container[int] = (1,)
    lives: int = 1

    def __call__(self) -> StubEngine:
        return FaultyEngine(self.spec, self.fault, self.at if count_start(self.starts) <= self.lives else ())


@dataclass(frozen=True)
class OpensThen:
    """Opens a sound engine in the first process and does something else in the second."""

    spec: EngineSpec
    starts: Path
    second: str  # "raises" or "another network"

    def __call__(self) -> StubEngine:
        start = count_start(self.starts)
        if start == 2 and self.second == "raises":
            raise EngineError("model.onnx: no such file")
        wider = replace(self.spec, width=self.spec.width + 32)
        return StubEngine(wider if start == 2 and self.second == "another network" else self.spec)


def count_start(starts: Path) -> int:
    with starts.open("ab") as file:
        file.write(b".")
    return starts.stat().st_size


def dies_while_it_opens() -> NoReturn:
    os._exit(3)


def opens_in_a_minute() -> NoReturn:
    time.sleep(60)
    raise AssertionError


def raises_a_foreign_error() -> NoReturn:
    raise KeyError("conv_1")


def never_answers_right(spec: EngineSpec) -> StubEngine:
    return FaultyEngine(spec, "shape", range(1000))


def logs_and_opens(spec: EngineSpec) -> StubEngine:
    logging.getLogger("rtpolyp.elsewhere").warning("bf16 is %s", "absent")
    logging.getLogger("rtpolyp.elsewhere").debug("not asked for")
    return StubEngine(spec)


def reads_the_input(spec: EngineSpec) -> StubEngine:
    if sys.stdin.read() != "":
        raise EngineError("the program's input was read")
    return StubEngine(spec)
