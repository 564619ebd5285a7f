"""What runs in an isolated engine's process: open an engine, then answer requests until the pipe ends."""

import contextlib
import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import EngineError, RtpolypError
from rtpolyp.inference.engine import Engine, Prediction, Timing
from rtpolyp.inference.isolated.ring import FrameRing
from rtpolyp.inference.local_engine import check_prediction, one_line
from rtpolyp.spec import EngineSpec

__all__ = ["FOR_THE_PROGRAM", "Answer", "Opened", "Recipe", "serve"]

Recipe = Callable[[], Engine]  # picklable: it is called in the process

FOR_THE_PROGRAM = (signal.SIGINT, signal.SIGTERM)  # a terminal or a service manager sends them to all
PR_SET_PDEATHSIG = 1
OOM_SCORE = Path("/proc/self/oom_score_adj")
FIRST_VICTIM = "500"  # of 1000: when memory runs out, the system ends this process before the picture's


class Opened(NamedTuple):
    """Said once, when the engine is open."""

    backend: str
    precision: str
    spec: EngineSpec
    description: str
    capacity: int
    batch: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The ring's shape: requests, frames of each, height and width."""
        return self.capacity, self.batch, self.spec.height, self.spec.width


class Answer(NamedTuple):
    """Said once a request; the probability lies in the request's slot of the ring."""

    slot: int
    failure: str | None = None  # one line
    presence: NDArray[np.float32] | None = None
    timing: Timing | None = None


class _Outbox:
    """Messages to the program, from any thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._lock = connection, threading.Lock()

    def put(self, message: object) -> None:
        with self._lock:
            self._connection.send(message)


class _LogToProgram(QueueHandler):
    """Log records go to the program's own handlers."""

    queue: Any

    def enqueue(self, record: logging.LogRecord) -> None:
        self.queue.put(record)


def serve(connection: Connection, recipe: Recipe, log_level: int) -> None:
    """Say Opened, or the RtpolypError that prevented it; receive the name of a ring of that shape.

    Then receive (slot, frames) and say Answer, again and again, until the other end of the pipe is closed.
    """
    _become_subordinate()
    outbox = _Outbox(connection)
    logging.getLogger().setLevel(log_level)
    logging.getLogger().addHandler(_LogToProgram(outbox))  # type: ignore[arg-type] # it only puts
    try:
        engine = _open(recipe)
        opened = Opened(
            engine.backend,
            engine.precision,
            engine.spec,
            engine.description,
            engine.capacity,
            engine.batch,
        )
        outbox.put(opened)
        ring = FrameRing.attach(connection.recv(), opened.shape)
        while True:
            _begin(engine, ring, outbox, *connection.recv())
    except RtpolypError as exc:
        outbox.put(exc)
    except (EOFError, ConnectionError):
        pass  # the program is gone
    os._exit(0)  # at once: a native library that hangs would keep an orderly end waiting


def _become_subordinate() -> None:
    """End with the program, before it when memory runs out, and not by a Ctrl-C that is meant for it."""
    for number in FOR_THE_PROGRAM:
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        program = multiprocessing.parent_process()
        if program is not None and not program.is_alive():  # it ended before that call
            os._exit(0)
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            OOM_SCORE.write_text(FIRST_VICTIM)


def _open(recipe: Recipe) -> Engine:
    try:
        return recipe()
    except RtpolypError:
        raise
    except Exception as exc:
        raise EngineError(f"the engine does not open ({_named(exc)}); try another backend") from exc


def _named(exc: BaseException) -> str:
    """The exception with its type, without which the messages of many exceptions say nothing."""
    return str(exc) if isinstance(exc, RtpolypError) else f"{type(exc).__name__}: {one_line(exc)}"


def _begin(engine: Engine, ring: FrameRing, outbox: _Outbox, slot: int, count: int) -> None:
    try:
        future = engine.submit(ring.frames[slot, :count])
    except Exception as exc:
        outbox.put(Answer(slot, _named(exc)))
        return
    future.add_done_callback(partial(_answer, ring.probability[slot, :count], outbox, slot))


def _answer(place: NDArray[np.uint8], outbox: _Outbox, slot: int, future: "Future[Prediction]") -> None:
    try:
        prediction = future.result()
        check_prediction(prediction, place.shape)
        np.copyto(place, prediction.probability)
        answer = Answer(slot, None, prediction.presence, prediction.timing)
    except Exception as exc:
        answer = Answer(slot, _named(exc))
    outbox.put(answer)
