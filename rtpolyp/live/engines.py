"""Engines: the engine of the ladder's present rung, opened and swapped while the one before goes on."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from rtpolyp.errors import RtpolypError
from rtpolyp.inference.engine import Engine
from rtpolyp.inference.isolated.engine import EngineRecipe, IsolatedEngine
from rtpolyp.live.ai_state import AiState
from rtpolyp.live.ladder import Ladder, Rung

__all__ = ["Engines", "LiveEngine"]

log = logging.getLogger(__name__)


class LiveEngine(Engine, Protocol):
    """An Engine that restarts by itself; IsolatedEngine is one."""

    restarts: int  # so far


class Engines:
    """Owns the session's engine and whatever takes its place; for the AI plane's thread, `close` for any.

    Without a `ladder` it is the one engine, on every frame. `open_engine` opens a rung's recipe, on a thread
    of its own; an engine that does not open is told, and its rung left out.
    """

    def __init__(
        self,
        engine: LiveEngine,
        ladder: Ladder | None = None,
        open_engine: Callable[[EngineRecipe], LiveEngine] = IsolatedEngine,
    ) -> None:
        self.current = engine
        self._ladder, self._open_engine = ladder, open_engine
        self._top = self._rung = ladder.rung if ladder is not None else None  # that `current` runs on
        self._opening: threading.Thread | None = None
        self._opened: LiveEngine | RtpolypError | None = None  # what came of it
        self._restarts = 0  # of engines that are closed
        self._lock, self._closed = threading.Lock(), False

    @property
    def stride(self) -> int:
        """Every how many frames one is to be analysed."""
        return 1 if self._rung is None else self._rung.stride

    @property
    def restarts(self) -> int:
        """How often an engine was started anew."""
        return self._restarts + self.current.restarts

    @property
    def state(self) -> AiState:
        """What the AI is while its engine gives results."""
        if self._rung is None or self._rung is self._top:
            return AiState("on")
        return AiState("reduced", self._rung.text)

    def observe(self, latency_seconds: float, now: float) -> None:
        """Take the seconds from a frame's capture to its result; it may change stride or engine."""
        if self._ladder is None or self._rung is None:
            return
        if self._opening is None:
            rung = self._ladder.observe(latency_seconds, now)
            if rung is not self._rung:
                self._go_to(rung)
        elif not self._opening.is_alive():
            self._take_over(self._ladder)

    def close(self) -> None:
        """Close the engine, and one that is being opened as soon as it is; later calls do nothing."""
        with self._lock:
            self._closed = True
            opened = self._opened
        if opened is not None and not isinstance(opened, RtpolypError):
            opened.close()
        self.current.close()

    def _go_to(self, rung: Rung) -> None:
        if self._rung is not None and rung.recipe == self._rung.recipe:
            log.warning("the AI goes from %s to %s", self._rung.text, rung.text)
            self._rung = rung
            return
        log.warning("opening another engine: %s", rung.text)
        self._opening = threading.Thread(target=self._open, args=(rung,), name="rtpolyp-opening", daemon=True)
        self._opening.start()

    def _open(self, rung: Rung) -> None:
        try:
            engine = self._open_engine(rung.recipe)
        except RtpolypError as exc:
            self._opened = exc
            return
        with self._lock:
            self._opened = engine
            closed = self._closed
        if closed:
            engine.close()

    def _take_over(self, ladder: Ladder) -> None:
        self._opening, opened = None, self._opened
        assert opened is not None
        if isinstance(opened, RtpolypError):
            log.warning("%s; going on as before", opened)
            if ladder.rung is self._top:
                self._ladder = None  # it did open once: this machine is in no state to try again
            else:
                self._go_to(ladder.refuse())
            return
        with self._lock:
            before, self.current, self._opened = self.current, opened, None
        self._restarts += before.restarts
        self._rung = ladder.rung
        log.warning("the AI goes on with %s: %s", self._rung.text, opened.description)
        threading.Thread(target=before.close, name="rtpolyp-closing", daemon=True).start()
