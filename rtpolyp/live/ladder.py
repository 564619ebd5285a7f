"""Ladder: what the AI leaves out when it cannot keep up, and when it takes it back.

A result is drawn until its frame is `max_age` old, and results come every `stride` frames. Say a frame's
result takes L seconds from the frame's capture, and frames come every F seconds. Then

- the next due frame finds the engine free only where L ≤ stride · F, and
- the picture carries an unexpired result for the share (max_age - L) / (stride · F) of the time, which is to
  be COVERAGE at least.

A rung's limit is the smaller of the two, and a result that takes longer is late. The engine *cannot keep up*
when more than LATE_SHARE of the results of the last DOWN_SECONDS were late: then the ladder steps down. It
steps up when all but TIGHT_SHARE of the results of UP_SECONDS would have met HEADROOM of the upper rung's
limit, had that rung's engine computed them. All of this is in seconds, so that a fast stream and a slow one
degrade alike.

A pause of the source, in which the engine had nothing to do, begins all of this anew. A sender that connects
and disconnects again and again sends its pictures in bursts, among which late results say nothing about the
engine; on a busy machine they opened and closed engines for as long as it went on.

A step up is a trial: one that is taken back within TRIAL_SECONDS doubles the time before the next, up to
LONGEST_SECONDS, which bounds how often an engine that nobody can predict is tried.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rtpolyp.inference.isolated.engine import EngineRecipe

__all__ = ["Ladder", "Rung", "rungs_for"]

COVERAGE = 0.9  # of the displayed frames, with an unexpired result
STRIDES = {2: "every 2nd frame", 3: "every 3rd frame"}
# Of the input's sides. Of 288, that is 224 and 192, where the shipped network takes 0.62 and 0.48 of the time
# (INT8, one thread, median of 90 pairs). Dice at 0.5 goes from 0.941 to 0.932 and 0.928 on Kvasir-SEG's 100
# test frames, from 0.839 to 0.810 and 0.776 on CVC-612's 61, which share no sequence with its training.
SMALLER = (3 / 4, 2 / 3)
MULTIPLE = 32  # of an input's sides: the networks' coarsest stride

DOWN_SECONDS = 1.0
UP_SECONDS = 5.0
LATE_SHARE = 1 / 3  # fewer are jitter: a late result costs the picture's next frames, not an outline
HEADROOM, TIGHT_SHARE = 0.8, 0.1  # stricter than the way down, by more than the jitter of a busy machine
LEAST = 4  # results before anything is concluded; a 1 s window holds 4 where each takes 250 ms
PAUSE_SECONDS, PAUSE_STRIDES = 0.5, 3  # without a frame, whichever is longer; then the source has paused
TRIAL_SECONDS = 10.0
LONGEST_SECONDS = 600.0


@dataclass(frozen=True)
class Rung:
    """One way to run. Another `recipe` than the rung above means another engine, to be opened beside it."""

    text: str  # for the screen and the log, ASCII; "full" on top
    recipe: EngineRecipe
    stride: int = 1  # every how many frames one is analysed
    cost: float | None = 1.0  # of its engine, in computations of the top rung's; None: not known


def rungs_for(
    recipe: EngineRecipe,
    size: tuple[int, int],
    frame_seconds: float,
    max_age: float,
    *,
    resizing_backend: str | None = None,
    fallback: str | Path | None = None,
) -> tuple[Rung, ...]:
    """The rungs of a stream: full, fewer frames, smaller inputs, a smaller network.

    `size` is (width, height) of the engine's input, `frame_seconds` the time between frames, `max_age` in
    seconds. Strides that allow no more time than the one before are left out: at 30 frames/s and 150 ms,
    every 3rd frame would have to be ready within 60 ms to be shown for 90 % of the time, every 2nd within 67.
    `resizing_backend` is the engine's own where that takes another input size. `fallback` is a smaller
    network's bundle, whose cost nobody knows here. A rung also leaves out what those above it do.
    """
    rungs = [Rung("full", recipe)]
    for stride, text in STRIDES.items():
        if limit(stride, frame_seconds, max_age) > limit(rungs[-1].stride, frame_seconds, max_age):
            rungs.append(replace(rungs[0], text=text, stride=stride))
    fewest = rungs[-1]
    for side in SMALLER if resizing_backend is not None else ():
        width, height = (max(MULTIPLE, round(side * pixels / MULTIPLE) * MULTIPLE) for pixels in size)
        smaller = replace(recipe, backend=resizing_backend or recipe.backend, size=(width, height))
        cost = width * height / (size[0] * size[1])
        rungs.append(replace(fewest, text=f"input {width}x{height}", recipe=smaller, cost=cost))
    if fallback is not None:
        network = replace(recipe, engine=fallback, precision="auto", size=None)
        rungs.append(replace(fewest, text=f"network {Path(fallback).name}", recipe=network, cost=None))
    return tuple(rungs)


def limit(stride: int, frame_seconds: float, max_age: float) -> float:
    """Seconds from capture to result within which every `stride`-th frame keeps up."""
    period = stride * frame_seconds
    return min(period, max_age - COVERAGE * period)


class Ladder:
    """Tells which rung to run on, from the latencies of the results on the present one.

    A change of stride takes effect with the next frame. A change of engine does when the caller has opened
    the other one, while the first goes on: 1.7 s of processor time, and 106 MiB until the first is closed
    (IsolatedEngine, OpenVINO, INT8). Results of another engine than the rung's own are not to be observed;
    that an engine does not open is told by `refuse`.
    """

    def __init__(self, rungs: Sequence[Rung], frame_seconds: float, max_age: float) -> None:
        self._rungs = list(rungs)
        self._limits = [limit(rung.stride, frame_seconds, max_age) for rung in rungs]
        self._index = 0
        self._latencies: deque[tuple[float, float]] = (
            deque()
        )  # (when, seconds) on this rung, UP_SECONDS of them
        self._frame_seconds = frame_seconds
        self._since: float | None = None  # the first result on this rung, since the source's last pause
        self._busy_until: float | None = None  # the last result on any rung
        self._on_trial = False  # this rung was reached from below, and not long ago
        self._wait = UP_SECONDS  # on this rung, before a step up

    @property
    def rung(self) -> Rung:
        """The present rung."""
        return self._rungs[self._index]

    def observe(self, latency_seconds: float, now: float) -> Rung:
        """Take one result of the present rung; return the rung to run on.

        `latency_seconds` is from the frame's capture to the result in hand, `now` by any steady clock.
        """
        if self._has_paused(now - latency_seconds):
            self._since = None
            self._latencies.clear()
        self._busy_until = now
        if self._since is None:
            self._since = now
        self._latencies.append((now, latency_seconds))
        while self._latencies[0][0] < now - UP_SECONDS and len(self._latencies) > LEAST:
            self._latencies.popleft()
        here = now - self._since
        if self._on_trial and here >= TRIAL_SECONDS:
            self._on_trial, self._wait = False, UP_SECONDS
        if here >= DOWN_SECONDS and self._cannot_keep_up(now):
            if self._on_trial:
                self._wait = min(2 * self._wait, LONGEST_SECONDS)
            self._go_to(self._index + 1, on_trial=False)
        elif here >= self._wait and self._could_climb():
            self._go_to(self._index - 1, on_trial=True)
        return self.rung

    def refuse(self) -> Rung:
        """Leave out the present rung for good, because its engine does not open; return the one before it.

        Raises ValueError on the rung that the ladder began with, whose engine is open.
        """
        before = self._index if self._on_trial else self._index - 1  # the one below moves up to its place
        if before < 0:
            raise ValueError("the first rung cannot be left out")
        del self._rungs[self._index], self._limits[self._index]
        self._go_to(before, on_trial=False)
        return self.rung

    def _has_paused(self, captured_at: float) -> bool:
        """Whether no frame came for long, between the last result and this frame."""
        if self._busy_until is None:
            return False
        usual = self.rung.stride * self._frame_seconds
        return captured_at - self._busy_until > max(PAUSE_SECONDS, PAUSE_STRIDES * usual)

    def _cannot_keep_up(self, now: float) -> bool:
        if self._index == len(self._rungs) - 1:
            return False
        latencies = [seconds for _, seconds in self._latencies]
        recent = sum(when > now - DOWN_SECONDS for when, _ in self._latencies)
        latencies = latencies[-max(recent, LEAST) :]
        return len(latencies) >= LEAST and _share_above(self._limits[self._index], latencies) > LATE_SHARE

    def _could_climb(self) -> bool:
        if self._index == 0 or len(self._latencies) < LEAST:
            return False
        cost, upper_cost = self.rung.cost, self._rungs[self._index - 1].cost
        slower = upper_cost / cost if cost and upper_cost else 1.0
        latencies = [slower * seconds for _, seconds in self._latencies]
        return _share_above(HEADROOM * self._limits[self._index - 1], latencies) <= TIGHT_SHARE

    def _go_to(self, index: int, *, on_trial: bool) -> None:
        self._index, self._on_trial, self._since = index, on_trial, None
        self._latencies.clear()


def _share_above(limit: float, latencies: Sequence[float]) -> float:
    return sum(seconds > limit for seconds in latencies) / len(latencies)
