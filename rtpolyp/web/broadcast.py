"""Broadcast: the pipeline's end of the web server's process, which no viewer can hold up."""

import contextlib
import json
import logging
import math
import multiprocessing
import queue
import signal
import threading
import time
from collections.abc import Mapping
from multiprocessing import resource_tracker
from typing import Any, Self

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from rtpolyp.errors import InputError
from rtpolyp.video.frame import Frame
from rtpolyp.video.planes import plane_view
from rtpolyp.web.address import Address, listen
from rtpolyp.web.slots import COUNT, LARGEST, Slots

__all__ = ["Broadcast"]

log = logging.getLogger(__name__)

START_SECONDS = 60.0  # an import of the server takes a second on a quiet machine
CLOSE_SECONDS = 0.5
CHANGES = 32  # of the settings that may wait; viewers who ask for more are not heard
POLL_SECONDS = 0.05
PACE_SECONDS = 1 / 32  # from a picture to the next on average: a page shows no more, however fast the source
IDLE_SECONDS = 0.25  # between two pictures without an outline, while nobody watches: one waits for who comes
SIGNALS = (signal.SIGINT, signal.SIGTERM)  # of a terminal, which sends them to all: the session ends us


class Broadcast:
    """Serves the live page at `address` from a process of its own; a context manager.

    `show` copies a picture to memory that both processes share and returns; where the server has not yet
    taken earlier ones, it is dropped. Nothing that a viewer does reaches further than the server's process:
    one that hangs or dies costs the page, which is logged once. `change` gives what viewers asked of the
    settings. Raises InputError where the address is none or cannot be listened on, and where the server's
    libraries are missing.
    """

    def __init__(self, address: str, info: Mapping[str, Any]) -> None:
        """`info` is what the page says of source, engine and versions."""
        from rtpolyp.web.server import check_installed, serve  # heavy in parts: where it is wanted

        check_installed()
        self.address, listener = listen(Address.parse(address))
        self.dropped = self.sent = 0
        self._changes: queue.Queue[dict[str, Any]] = queue.Queue(CHANGES)
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._scaler = VideoReformatter()
        self._is_watched, self._offered_at, self._pace = False, -math.inf, Pace()  # at: monotonic
        self._lost, self._closing = False, threading.Event()
        with contextlib.ExitStack() as stack:
            stack.callback(listener.close)
            self._slots = Slots.create()
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            arguments = (theirs, listener, self.address, self._slots.name, dict(info))
            self._process = context.Process(target=serve, args=arguments, name="rtpolyp-web", daemon=True)
            with theirs:
                _start(self._process)
            self._await_start()
        self._thread = threading.Thread(target=self._listen, name="rtpolyp-web", daemon=True)
        self._thread.start()

    def show(self, frame: Frame, state: Mapping[str, Any]) -> None:
        """Offer a picture and what is to be said of it, which JSON can hold; never waits.

        For one thread. `frame` must not change any more. While nobody watches, the page needs the pictures
        with outlines, for its sightings, and few others: to scale one of 1080p takes 1.5 ms.
        """
        now = time.monotonic()
        if not (self._is_watched or state["polyps"]) and now - self._offered_at < IDLE_SECONDS:
            return
        if not self._pace.lets(now):
            return
        self._offered_at = now
        try:
            slot = self._free.get_nowait()
        except queue.Empty:
            self.dropped += 1
            return
        size = fitting(frame.size)
        native = self._scaler.reformat(
            frame.native, *size, "yuv420p", interpolation="FAST_BILINEAR", dst_color_range="MPEG"
        )
        _copy_planes(native, self._slots.planes(slot, size))
        message = json.dumps({**state, "captured": frame.captured_at, "full": frame.size}).encode()
        try:
            self._connection.send((slot, size, message))  # at most COUNT unanswered: the pipe never fills
            self.sent += 1
        except (OSError, ValueError):
            self._lose("has closed its pipe")

    def change(self) -> dict[str, Any] | None:
        """The next change of settings that a viewer asked for, some of their fields; None without one."""
        try:
            return self._changes.get_nowait()
        except queue.Empty:
            return None

    def close(self) -> None:
        """End the server and every connection; later calls do nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        with contextlib.suppress(OSError, ValueError):
            self._connection.send(None)
        self._process.join(CLOSE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(CLOSE_SECONDS)
        self._thread.join(CLOSE_SECONDS)
        self._connection.close()
        with contextlib.suppress(BufferError):  # a picture is still being copied
            self._slots.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _await_start(self) -> None:
        """Wait until the server listens and has mapped the memory."""
        try:
            if not self._connection.poll(START_SECONDS) or self._connection.recv() != "ready":
                raise EOFError
        except (EOFError, OSError) as exc:
            self._process.kill()
            raise InputError(
                ": the web server did not start; run again without it", parameter="serve"
            ) from exc
        finally:
            self._slots.unlink()
        for slot in range(COUNT):
            self._free.put(slot)

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                if not self._connection.poll(POLL_SECONDS):
                    continue
                message = self._connection.recv()
            except Exception:  # the end of the pipe, or what a broken process wrote into it
                self._lose("ended")
                return
            if isinstance(message, bool):
                self._is_watched = message
            elif isinstance(message, int):
                self._free.put(message)
            elif isinstance(message, dict):
                with contextlib.suppress(queue.Full):
                    self._changes.put_nowait(message)

    def _lose(self, what: str) -> None:
        if not self._lost and not self._closing.is_set():
            log.warning("the web server %s: the page is gone, everything else goes on", what)
        self._lost = True


class Pace:
    """Which pictures of a fast source go to the page."""

    def __init__(self) -> None:
        self._due = -math.inf

    def lets(self, now: float) -> bool:
        """Whether a picture of this moment, in seconds, may go; after a late one the next may come early."""
        if now < self._due:
            return False
        self._due = max(self._due, now - PACE_SECONDS) + PACE_SECONDS
        return True


def fitting(size: tuple[int, int]) -> tuple[int, int]:
    """The largest even size of this shape that fits LARGEST; never larger than the picture."""
    scale = min(1.0, LARGEST[0] / size[0], LARGEST[1] / size[1])
    width, height = (max(2, int(side * scale / 2 + 0.25) * 2) for side in size)
    return min(width, LARGEST[0]), min(height, LARGEST[1])


def _copy_planes(native: av.VideoFrame, target: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    height = native.height
    target[:height] = plane_view(native, 0)
    quarter = height * native.width // 4
    rest = target[height:].reshape(-1)
    rest[:quarter].reshape(height // 2, -1)[:] = plane_view(native, 1)
    rest[quarter:].reshape(height // 2, -1)[:] = plane_view(native, 2)


def _start(process: multiprocessing.process.BaseProcess) -> None:
    """Start with the program's signals blocked, which the process inherits."""
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS) if hasattr(signal, "pthread_sigmask") else ()
    try:
        process.start()
    finally:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
