"""IsolatedEngine: any engine, in a process that may hang or crash without taking the video along."""

import atexit
import contextlib
import logging
import math
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import EngineError, EngineUnavailable, RtpolypError
from rtpolyp.inference.bundle import DEFAULT_BUNDLE, is_shipped, load_bundle
from rtpolyp.inference.engine import Engine, Goal, Prediction
from rtpolyp.inference.isolated.child import Answer, Recipe
from rtpolyp.inference.isolated.process import EngineProcess, ProcessFault
from rtpolyp.inference.local_engine import LocalEngine, Request, one_line
from rtpolyp.inference.remote.address import is_remote
from rtpolyp.inference.selection import open_engine
from rtpolyp.inference.tensorrt.plans import is_plan

__all__ = ["EngineRecipe", "IsolatedEngine", "open_guarded"]

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1  # how soon the watcher notices `close`
CLOSE_SECONDS = 0.5  # how long `close` waits for requests in flight, and for the process to be gone
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.2, 5.0  # before a restart; doubling
SOUND_SECONDS = 10.0  # a process that served this long is restarted after the first pause again
FILE_DEADLINE_SECONDS = 30.0  # nobody looks on, and a large network on a small processor takes seconds
FAILURES = 3  # in a row: one frame may fail, but then a library is in a state that only a new process ends


@dataclass(frozen=True)
class EngineRecipe:
    """What open_engine takes, to be opened in another process; `dataclasses.replace` makes a smaller one."""

    engine: str | Path = DEFAULT_BUNDLE
    backend: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    size: tuple[int, int] | None = None  # (width, height)
    optimise_for: Goal = "latency"

    def __call__(self) -> Engine:
        """Open it; raises what open_engine raises."""
        return open_engine(
            self.engine,
            backend=self.backend,
            precision=self.precision,
            optimise_for=self.optimise_for,
            threads=self.threads,
            size=self.size,
        )


class IsolatedEngine(LocalEngine):
    """An engine in a spawned process, which is restarted by itself when it dies, hangs or keeps failing.

    `recipe` is an EngineRecipe, or any picklable callable that returns an Engine; the constructor waits until
    the process has opened it and run one frame. Frames and probabilities pass through shared memory.

    A request fails with EngineError when the engine raises, answers what is no probability map, gives no
    answer within `deadline_seconds`, or dies with it in flight. After a death, a missed deadline or FAILURES
    failures in a row, the process is killed and started anew, after 0.2 s and then twice as long each time,
    up to 5 s. Until it is ready `submit` raises EngineUnavailable. A new process is checked to have the same
    network; its precision, and so its description and capacity, may differ.

    The process ends with the program, even when that is killed; it takes no notice of SIGINT and SIGTERM and
    does not read the program's input; its log records reach the program's handlers; and when memory runs out,
    Linux ends it first. As for everything that multiprocessing spawns, the script that opens one is imported
    again there: keep what it does under `if __name__ == "__main__":`. A frame of 288 × 288 takes 0.15 ms
    longer than in the program's own process (lower quartiles; 0.45 ms at the medians, on two busy cores).

    Raises what the recipe raised, and EngineError where the process cannot be started, ends, or is not ready
    in `start_seconds`.
    """

    def __init__(self, recipe: Recipe, *, deadline_seconds: float = 2.0, start_seconds: float = 60.0) -> None:
        self.restarts = 0  # processes that became ready after the first
        self.recipe = recipe
        self._deadline_seconds, self._start_seconds = deadline_seconds, start_seconds
        self._in_flight: dict[int, tuple[Request, float]] = {}  # by slot; until when, monotonic
        self._outage: str | None = None
        self._stop = threading.Event()
        first: Future[None] = Future()
        self._watcher = threading.Thread(
            target=self._watch, args=(first,), name="IsolatedEngine-watcher", daemon=True
        )
        # a program that ends meanwhile, or forgets to close, would wait for a process that takes no notice
        atexit.register(self._end)
        try:
            self._watcher.start()
            first.result()
        except BaseException:  # Ctrl-C too
            self._end()
            atexit.unregister(self._end)
            raise

    @property
    def ready(self) -> bool:
        """Whether `submit` would take a frame, unless `capacity` requests are in flight."""
        return self._outage is None and not self._closed

    def submit(self, frames: NDArray[np.uint8]) -> "Future[Prediction]":
        """As Engine.submit; raises EngineUnavailable, whose message suits a badge, during a restart."""
        with self._changed:  # the ring stays while frames are copied into it
            if self._outage is not None and not self._closed:
                raise EngineUnavailable(self._outage)
            return super().submit(frames)

    def close(self) -> None:
        """Wait half a second for requests in flight, then end the process: within a second, always.

        Later calls do nothing. Not to be called from a future's callback.
        """
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._unresolved == 0, CLOSE_SECONDS)
        atexit.unregister(self._end)
        self._end()

    def _begin(self, request: Request) -> None:
        self._in_flight[request.slot] = request, time.monotonic() + self._deadline_seconds
        self._process.send((request.slot, request.count))

    def _end(self) -> None:
        self._stop.set()
        self._watcher.join(CLOSE_SECONDS)

    def _watch(self, first: "Future[None]") -> None:
        """Have one process after another, until `close`; `first` learns of the first's success or failure."""
        pause = 0.0
        while not self._stop.wait(pause):
            adopted = math.inf
            with contextlib.ExitStack() as stack:
                try:
                    process = EngineProcess(self.recipe, self._stop, self._start_seconds)
                    stack.callback(process.close)
                    self._adopt(process, first)
                    adopted = time.monotonic()
                    self._serve(process)
                    fault: Exception = ProcessFault("closed", "was closed")
                except Exception as exc:  # whatever it is, this thread goes on
                    fault = exc
                if not first.done():
                    first.set_exception(_at_first(fault))
                    return
                self._retire(fault)
            sound = time.monotonic() - adopted > SOUND_SECONDS
            pause = FIRST_PAUSE_SECONDS if sound or not pause else min(2 * pause, LAST_PAUSE_SECONDS)
            if not self._stop.is_set():
                log.warning("%s; starting another in %g s", self._told(fault), pause)

    def _adopt(self, process: EngineProcess, first: "Future[None]") -> None:
        """Let `submit` use a process that is ready."""
        opened, inputs = process.opened, list(process.ring.frames)
        self.backend, self.precision = opened.backend, opened.precision
        description = f"{opened.description}, in a process of its own"
        if not first.done():
            super().__init__(opened.spec, description, inputs)  # on this thread: the constructor waits for it
            self._process = process
            first.set_result(None)
            return
        if opened.spec != self.spec:
            raise ProcessFault("another network", "opened another network than before; open the engine again")
        with self._changed:
            self._process, self._inputs, self.description = process, inputs, description
            self.capacity, self._free = len(inputs), list(range(len(inputs)))
            self.restarts += 1
            self._outage = None
        log.warning("%s: the engine is back: %s", self.spec.name, description)

    def _serve(self, process: EngineProcess) -> None:
        """Pass answers on until `close`; raises ProcessFault when the process is of no more use."""
        failures = 0
        while not self._stop.is_set():
            answer = process.receive(self._patience())
            if isinstance(answer, Answer):
                failures = 0 if self._collect(process, answer) else failures + 1
            if failures == FAILURES:
                raise ProcessFault("errors", f"failed {FAILURES} times in a row")
            if self._patience() == 0:
                raise ProcessFault("no answer", f"gave no answer within {self._deadline_seconds:g} s")

    def _patience(self) -> float:
        """Seconds until the first deadline, at most POLL_SECONDS; 0 when it has passed."""
        with self._changed:
            deadlines = [until for _, until in self._in_flight.values()]
        return max(0.0, min([POLL_SECONDS, *(until - time.monotonic() for until in deadlines)]))

    def _collect(self, process: EngineProcess, answer: Answer) -> bool:
        """Resolve the request that was answered; returns whether it succeeded."""
        with self._changed:
            request, _ = self._in_flight.pop(answer.slot)
        if answer.failure is not None:
            self._resolve(request, EngineError(answer.failure))
            return False
        probability = process.ring.probability[request.slot, : request.count].copy()
        self._resolve(request, Prediction(probability, answer.presence, answer.timing))
        return True

    def _retire(self, fault: Exception) -> None:
        """Let nobody use the process any more, and fail what it has in flight."""
        with self._changed:
            self._outage = f"engine restarting ({_short(fault)})"
            self._inputs = ()
            requests = [request for request, _ in self._in_flight.values()]
            self._in_flight.clear()
        for request in requests:
            self._resolve(request, EngineError(self._told(fault)))

    def _told(self, fault: Exception) -> str:
        if isinstance(fault, ProcessFault):
            return f"{self.spec.name}: the engine's process {fault}"
        return f"{self.spec.name}: the engine does not open again ({one_line(fault)})"


def open_guarded(recipe: EngineRecipe) -> Engine:
    """Open a recipe for a file's frames: in a process of its own, unless it is shipped, a plan or remote.

    A stranger's graph may take any time and memory to open, or find a hole in the library that opens it.
    Raises what IsolatedEngine and open_engine raise.
    """
    if is_remote(recipe.engine) or is_plan(recipe.engine) or is_shipped(recipe.engine):
        return recipe()
    load_bundle(recipe.engine)  # here: a broken one needs no process to be refused
    return IsolatedEngine(recipe, deadline_seconds=FILE_DEADLINE_SECONDS)


def _short(fault: Exception) -> str:
    return fault.short if isinstance(fault, ProcessFault) else "does not open"


def _at_first(fault: Exception) -> Exception:
    """What the constructor raises."""
    if isinstance(fault, ProcessFault):
        return EngineError(
            f"the engine's process {fault} before it was ready; try another backend, and in a script "
            'open it under if __name__ == "__main__":'
        )
    if isinstance(fault, RtpolypError):
        return fault
    return EngineError(f"the engine gets no process of its own ({type(fault).__name__}: {one_line(fault)})")
