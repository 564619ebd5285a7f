"""connected and Pool: workers of a batch as actors of Ray, on this machine or on a cluster."""

import contextlib
import itertools
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rtpolyp.batch.extra import needed
from rtpolyp.batch.job import Job, Step
from rtpolyp.batch.worker import Analysed, Broken, Divided, Finished, Worker
from rtpolyp.errors import EngineError, InputError, RtpolypError

__all__ = ["Outcome", "Pool", "connected"]

log = logging.getLogger(__name__)

REACH_SECONDS = 5.0  # for an address to answer
GROW_SECONDS = 2.0  # between two looks at how many nodes there are
WAIT_SECONDS = 0.5  # until the loop looks up, at most
PATIENCE_SECONDS = 60.0  # until it is said that no worker has started
MOST_REFUSALS = 3  # workers in a row whose engine does not open


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Ray, started on this machine for this program alone, or the cluster at `address`.

    Raises InputError where nothing answers there. Ray's own report of its use is never sent.
    """
    ray = needed("ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet = {"log_to_driver": False, "configure_logging": False, "logging_level": logging.ERROR}
    before = signal.getsignal(signal.SIGTERM)
    if address is not None:
        _reach(address)
    # without "local" Ray joins what it finds on this machine
    own = {"address": "local", "include_dashboard": False}
    try:
        ray.init(**(own if address is None else {"address": address}), **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as exc:
        place = "Ray on this machine" if address is None else address
        line = str(exc).strip().splitlines()[0][:200] if str(exc).strip() else type(exc).__name__
        raise InputError(
            f"{place}: no Ray that can be used ({line}); start one by: ray start --head"
        ) from exc
    signal.signal(signal.SIGTERM, before)  # Ray has put its own in the place of the command line's
    try:
        yield
    finally:
        ray.shutdown()


@dataclass(frozen=True)
class Outcome:
    """A step that ended: with its result, or lost with its worker, and why."""

    step: Step
    result: Divided | Analysed | Finished | Broken | None
    why: str = ""


@dataclass
class _Actor:
    number: int
    handle: Any
    is_open: bool = False


class Pool:
    """As many workers as the cluster has room for, which are replaced where they are lost.

    A worker takes `cpus` processors and `gpus` (a share) of a card; of all there are at most `limit`. The
    first to open says what the engine is, and the others must open the same.
    """

    def __init__(self, job: Job, *, limit: int | None, cpus: float, gpus: float) -> None:
        self._job, self._limit, self._cpus, self._gpus = job, limit, cpus, gpus
        self._numbers = itertools.count()
        self._actors: dict[int, _Actor] = {}
        self._tasks: dict[Any, tuple[_Actor, Step | None]] = {}  # by reference; None: it opens its engine
        self._refusals = 0
        self._looked = float("-inf")
        self._begun: float | None = time.monotonic()  # None once a worker is open, or its absence was said
        self.engine: Mapping[str, str] | None = None

    def idle(self) -> list[int]:
        """The numbers of the workers that are ready and have nothing to do."""
        busy = {actor.number for actor, _ in self._tasks.values()}
        return [one.number for one in self._actors.values() if one.is_open and one.number not in busy]

    def submit(self, number: int, step: Step) -> None:
        """Give an idle worker a step."""
        actor = self._actors[number]
        self._tasks[actor.handle.do.remote(step)] = actor, step

    def collect(self) -> list[Outcome]:
        """Wait a moment; the steps that ended. Raises OutputError, and EngineError where no engine opens."""
        ray = needed("ray")
        self._grow()
        if self._begun is not None and time.monotonic() > self._begun + PATIENCE_SECONDS:
            self._begun = None
            log.warning(
                "no worker has started within %.0f s: processors or cards may be taken or busy; waiting on",
                PATIENCE_SECONDS,
            )
        if not self._tasks:  # every worker was lost a moment ago
            time.sleep(WAIT_SECONDS)
            return []
        ready, _ = ray.wait(list(self._tasks), num_returns=1, timeout=WAIT_SECONDS)
        outcomes = (self._outcome(reference) for reference in ready)
        return [outcome for outcome in outcomes if outcome is not None]

    def close(self) -> None:
        """End all workers."""
        ray = needed("ray")
        ending = [one.handle.close.remote() for one in self._actors.values() if one.is_open]
        if ending and not self._tasks:
            ray.wait(ending, num_returns=len(ending), timeout=WAIT_SECONDS)
        for one in self._actors.values():
            ray.kill(one.handle)
        self._actors.clear()

    def _grow(self) -> None:
        """Start workers where there is room; the first alone opens its engine until it is known."""
        if time.monotonic() < self._looked + GROW_SECONDS:
            return
        self._looked = time.monotonic()
        ray, wanted = needed("ray"), self._room()
        while len(self._actors) < wanted:
            card = {"num_gpus": self._gpus} if self._gpus else {}  # Ray hides all cards for a share of 0
            handle = ray.remote(Worker).options(num_cpus=self._cpus, max_restarts=0, **card).remote(self._job)
            actor = _Actor(next(self._numbers), handle)
            self._actors[actor.number] = actor
            if self.engine is not None:
                self._open(actor)
        if self.engine is None and not self._tasks:
            self._open(next(iter(self._actors.values())))

    def _open(self, actor: _Actor) -> None:
        self._tasks[actor.handle.open.remote(self.engine)] = actor, None

    def _room(self) -> int:
        resources = needed("ray").cluster_resources()
        room = int(resources.get("CPU", 0) // self._cpus)
        if self._gpus:
            room = min(room, int(resources.get("GPU", 0) / self._gpus + 1e-6))
        return max(1, room if self._limit is None else min(room, self._limit))

    def _outcome(self, reference: Any) -> Outcome | None:
        ray = needed("ray")
        actor, step = self._tasks.pop(reference)
        try:
            result = ray.get(reference)
        except ray.exceptions.RayTaskError as exc:
            return self._failed(actor, step, exc)
        except ray.exceptions.RayError:  # the worker is gone, or its machine
            self._drop(actor)
            return None if step is None else Outcome(step, None, "its process or machine was lost")
        if step is not None:
            return Outcome(step, result)
        self._opened(actor, result)
        return None

    def _opened(self, actor: _Actor, engine: Mapping[str, str]) -> None:
        self._refusals = 0
        if self.engine is None:
            self.engine = engine
            for other in self._actors.values():
                if other is not actor:
                    self._open(other)
        elif engine != self.engine:
            name = next(key for key, value in engine.items() if value != self.engine.get(key))
            raise EngineError(
                f"a worker has {name} {engine[name]}, and the first has {self.engine[name]}; "
                "install the same on all machines"
            )
        actor.is_open, self._begun = True, None

    def _failed(self, actor: _Actor, step: Step | None, exc: Any) -> Outcome | None:
        """A worker raised: what is of its engine costs it its place, anything else ends the batch."""
        cause = exc.cause if isinstance(exc.cause, BaseException) else exc
        if not isinstance(cause, RtpolypError):
            raise exc
        if not isinstance(cause, EngineError):
            raise cause
        self._drop(actor)
        if step is not None:
            return Outcome(step, None, str(cause))
        self._refusals += 1
        if self.engine is None or self._refusals == MOST_REFUSALS:
            raise cause
        log.warning("a worker does not open its engine: %s", cause)
        return None

    def _drop(self, actor: _Actor) -> None:
        self._looked = float("-inf")  # another takes its place at once
        self._actors.pop(actor.number, None)
        with contextlib.suppress(Exception):  # Ray's own, of an actor that is gone already
            needed("ray").kill(actor.handle)


def _reach(address: str) -> None:
    """Ray itself tries for a minute and more."""
    if address in ("auto", "local"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS):
            return
    except (OSError, ValueError, OverflowError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise InputError(
            f" {address}: nothing answers there ({reason}); give auto, HOST:PORT or ray://HOST:PORT of a "
            "running Ray",
            parameter="ray_address",
        ) from exc
