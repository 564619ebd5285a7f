"""The program's end of an isolated engine's process: start it, talk to it, say how it ended, kill it."""

import contextlib
import logging
import multiprocessing
import signal
import threading
import time
from multiprocessing import resource_tracker

from rtpolyp.errors import EngineError, RtpolypError
from rtpolyp.inference.isolated.child import FOR_THE_PROGRAM, Answer, Opened, Recipe, serve
from rtpolyp.inference.isolated.ring import FrameRing
from rtpolyp.inference.local_engine import one_line
from rtpolyp.resident import resident_bytes

__all__ = ["EngineProcess", "ProcessFault"]

POLL_SECONDS = 0.1  # how soon a start under way notices that it is not wanted any more
JOIN_SECONDS = 0.5  # a killed process is gone in milliseconds, unless a driver holds it
MAX_OPENING_BYTES = 6 << 30  # resident; a PraNet takes 0.4 GiB to open on OpenVINO
SIGNALS = {value.value: value.name for value in signal.Signals}


class ProcessFault(EngineError):
    """What became of a process, in words that follow on "the engine's process"; `short` is for a badge."""

    def __init__(self, short: str, message: str) -> None:
        super().__init__(message)
        self.short = short


class EngineProcess:
    """A spawned process with an engine that is open and has run once, and the ring shared with it.

    To be made by a thread that lives as long as the process is wanted: Linux ends the process with the
    *thread* that started it. Raises the RtpolypError that the recipe raised, ProcessFault where the process
    ended, was not ready in `seconds` or took more than MAX_OPENING_BYTES of memory until then (watched on
    Linux), and EngineError where it cannot be started or `stop` was set.
    """

    opened: Opened
    ring: FrameRing

    def __init__(self, recipe: Recipe, stop: threading.Event, seconds: float) -> None:
        self._resources = contextlib.ExitStack()
        context = multiprocessing.get_context("spawn")  # a fork would copy locks that other threads hold
        self._connection, theirs = context.Pipe()
        self._resources.callback(self._connection.close)
        self._process = context.Process(
            target=serve,
            args=(theirs, recipe, logging.getLogger().getEffectiveLevel()),
            name="rtpolyp-engine",
            daemon=True,  # multiprocessing does not wait for its end when the program ends
        )
        try:
            with theirs:
                _start(self._process)
            self._resources.callback(self._kill)
            self._open(stop, time.monotonic() + seconds)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int | None:
        """The process's number."""
        return self._process.pid

    def send(self, message: object) -> None:
        """Send the ring's name, or (slot, frames); that the process has ended is told by `receive`."""
        with contextlib.suppress(OSError):
            self._connection.send(message)

    def receive(self, seconds: float) -> Opened | Answer | RtpolypError | None:
        """The next message, None where none came within `seconds`; ProcessFault once the process ended."""
        try:
            if not self._connection.poll(seconds):
                return None
            message: Opened | Answer | RtpolypError | logging.LogRecord = self._connection.recv()
        except Exception as exc:  # the end of the pipe, or what a broken process wrote into it
            raise self._end() from exc
        if isinstance(message, logging.LogRecord):
            logger = logging.getLogger(message.name)
            if logger.isEnabledFor(message.levelno):
                logger.handle(message)
            return None
        return message

    def close(self) -> None:
        """Kill the process, whatever it is doing, and unmap the ring, of which nobody may hold a view."""
        self._resources.close()

    def _open(self, stop: threading.Event, deadline: float) -> None:
        opened = self._await(stop, deadline)
        assert isinstance(opened, Opened)
        self.opened = opened
        self.ring = FrameRing.create(opened.shape)
        self._resources.callback(self.ring.close)
        try:
            self.send(self.ring.name)
            self.send((0, 1))  # a black frame: a first run may compile kernels, for longer than any deadline
            answer = self._await(stop, deadline)
        finally:
            self.ring.unlink()
        assert isinstance(answer, Answer)
        if answer.failure is not None:
            raise EngineError(answer.failure)

    def _await(self, stop: threading.Event, deadline: float) -> Opened | Answer:
        while not stop.is_set():
            message = self.receive(POLL_SECONDS)
            if isinstance(message, RtpolypError):
                raise message
            if message is not None:
                return message
            if time.monotonic() > deadline:
                raise ProcessFault("does not open", "did not open in time")
            if (taken := resident_bytes(self.pid)) > MAX_OPENING_BYTES:
                raise ProcessFault("does not open", f"took {taken / 2**30:.1f} GiB of memory to open")
        raise EngineError("the engine was closed while it opened")

    def _end(self) -> ProcessFault:
        self._process.join(JOIN_SECONDS)
        code = self._process.exitcode
        if code is None:
            return ProcessFault("pipe closed", "closed its pipe")
        if code < 0:
            name = SIGNALS.get(-code, f"signal {-code}")
            hint = " (what the system does when memory runs out)" if name == "SIGKILL" else ""
            return ProcessFault(name, f"was killed by {name}{hint}")
        return ProcessFault(f"exit {code}", f"ended with exit code {code}")

    def _kill(self) -> None:
        self._process.kill()
        self._process.join(JOIN_SECONDS)
        if self._process.exitcode is not None:
            self._process.close()


def _start(process: multiprocessing.process.BaseProcess) -> None:
    """Start with the program's signals blocked: a process that still loads, and ignores none, would end."""
    resource_tracker.ensure_running()  # up to Python 3.11 it unblocks signals in the thread that starts it
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_PROGRAM)  # inherited by the process, for good
    try:
        process.start()
    except Exception as exc:
        raise EngineError(
            f"the engine gets no process of its own ({one_line(exc)}); give a recipe that can be pickled, "
            'such as an EngineRecipe, and in a script open it under if __name__ == "__main__":'
        ) from exc
