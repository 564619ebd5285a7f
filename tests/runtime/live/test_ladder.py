"""The ladder against simulated engines: an AI plane by the clock of the simulation, no time is slept."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from rtpolyp.inference.isolated.engine import EngineRecipe
from rtpolyp.live.ladder import COVERAGE, Ladder, Rung, limit, rungs_for

FRAME = 1 / 30
MAX_AGE = 0.15
RECIPE = EngineRecipe("pranet-if", precision="int8")
TINY_COST = 0.1  # of the simulated smaller network, which the ladder is not told


def rungs(frame: float = FRAME, *, resizable: bool = True, fallback: str | None = None) -> tuple[Rung, ...]:
    backend = "openvino" if resizable else None
    return rungs_for(RECIPE, (288, 288), frame, MAX_AGE, resizing_backend=backend, fallback=fallback)


@dataclass
class Run:
    """What a simulation saw."""

    changes: list[tuple[float, str]]  # when, and the rung stepped to
    results: list[tuple[float, float]]  # captured, ready

    @property
    def last(self) -> str:
        return self.changes[-1][1] if self.changes else "full"

    def coverage(self, start: float, end: float) -> float:
        """Share of the time between `start` and `end` with an unexpired result."""
        covered = 0.0
        following = [*(ready for _, ready in self.results[1:]), end]
        for (captured, ready), until in zip(self.results, following, strict=True):
            covered += max(0.0, min(captured + MAX_AGE, until, end) - max(ready, start))
        return covered / (end - start)


def simulate(
    ladder: Ladder,
    engine_seconds: Callable[[float], float],
    seconds: float,
    *,
    frame: float = FRAME,
    noise: float = 0.0,
    switch_seconds: float = 0.0,
) -> Run:
    """An AI plane that takes the newest frame, at least a stride after the last, as live.analyst does.

    `engine_seconds(t)` is what the top rung's engine takes at t; others take it times their cost. `noise` is
    the sigma of a log-normal factor. Opening another engine takes `switch_seconds`, the old one going on.
    """
    random = np.random.default_rng(0)
    run, last, now, rung = Run([], []), -99, 0.0, ladder.rung
    runs, opened_at = rung, 0.0  # the rung whose engine is open, and when another will be
    while now < seconds:
        index = max(last + rung.stride, int(now / frame))
        captured, last = index * frame, index
        cost = TINY_COST if runs.cost is None else runs.cost
        took = engine_seconds(captured) * cost * float(np.exp(noise * random.standard_normal()))
        now = max(now, captured) + took
        run.results.append((captured, now))
        if runs.recipe != rung.recipe:
            if now >= opened_at:
                runs = rung
            continue
        before, rung = rung, ladder.observe(now - captured, now)
        if rung != before:
            run.changes.append((now, rung.text))
            opened_at = now + switch_seconds
            if rung.recipe == before.recipe:
                runs = rung
    return run


def test_rungs_leave_out_more_and_more():
    found = rungs(fallback="small-net")
    assert [rung.text for rung in found] == [
        "full",
        "every 2nd frame",
        "input 224x224",
        "input 192x192",
        "network small-net",
    ]
    assert [rung.stride for rung in found] == [1, 2, 2, 2, 2]
    assert [rung.recipe.size for rung in found] == [None, None, (224, 224), (192, 192), None]
    assert found[2].recipe.backend == "openvino"
    assert found[3].cost == pytest.approx(192**2 / 288**2)
    assert found[4].recipe.engine == "small-net"
    assert {rung.recipe.precision for rung in found[:4]} == {"int8"}
    assert all(rung.text.isascii() for rung in found)


@pytest.mark.parametrize(
    ("rate", "texts"),
    [
        (25, ["full", "every 2nd frame"]),
        (30, ["full", "every 2nd frame"]),
        (50, ["full", "every 2nd frame", "every 3rd frame"]),
        (60, ["full", "every 2nd frame", "every 3rd frame"]),
        (10, ["full"]),
    ],
)
def test_a_stride_that_gives_no_more_time_is_left_out(rate: int, texts: list[str]):
    found = rungs(1 / rate, resizable=False)
    assert [rung.text for rung in found] == texts
    limits = [limit(rung.stride, 1 / rate, MAX_AGE) for rung in found]
    assert limits == sorted(set(limits))


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("rate", [25, 30, 60])
def test_at_the_limit_the_rate_is_kept_and_the_picture_covered(stride: int, rate: int):
    frame = 1 / rate
    run = simulate(
        Ladder([Rung("only", RECIPE, stride)], frame, MAX_AGE),
        lambda t: 0.999 * limit(stride, frame, MAX_AGE),
        10.0,
        frame=frame,
    )
    assert run.coverage(1.0, 9.0) >= COVERAGE
    assert len(run.results) == pytest.approx(10 * rate / stride, abs=2)


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.2])
@pytest.mark.parametrize(
    ("milliseconds", "ends_on"),
    [(8, "full"), (20, "full"), (45, "every 2nd frame"), (120, "input 192x192")],
)
def test_a_steady_engine_settles_and_covers(milliseconds: float, ends_on: str, noise: float):
    run = simulate(Ladder(rungs(), FRAME, MAX_AGE), lambda t: milliseconds / 1000, 120.0, noise=noise)
    assert run.last == ends_on
    assert len(run.changes) == [rung.text for rung in rungs()].index(ends_on)  # each step once, none back
    assert all(when < 6 for when, _ in run.changes)
    assert run.coverage(10.0, 119.0) >= COVERAGE


@pytest.mark.parametrize("milliseconds", [15, 25, 30, 35, 45, 65, 75, 80, 120, 180])
@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_no_steady_engine_makes_it_flap(milliseconds: int, noise: float):
    """Ten minutes at any speed: down to where it stays, and hardly a change in the last five."""
    run = simulate(Ladder(rungs(), FRAME, MAX_AGE), lambda t: milliseconds / 1000, 600.0, noise=noise)
    assert len([when for when, _ in run.changes if when > 300]) <= 2
    assert len(run.changes) <= 12


@pytest.mark.parametrize("switch_seconds", [0.0, 3.0])
@pytest.mark.parametrize("overloaded_ms", [45, 70, 110])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_an_overload_that_goes_away(overloaded_ms: int, noise: float, switch_seconds: float):
    """20 ms, but for ten seconds more: down while it lasts, and up again to the top, each once."""
    run = simulate(
        Ladder(rungs(), FRAME, MAX_AGE),
        lambda t: overloaded_ms / 1000 if 30 <= t < 40 else 0.02,
        120.0,
        noise=noise,
        switch_seconds=switch_seconds,
    )
    texts = ["full", *(text for _, text in run.changes)]
    order = [rung.text for rung in rungs()]
    positions = [order.index(text) for text in texts]
    deepest = max(positions)
    assert positions == [*range(deepest + 1), *reversed(range(deepest))]
    assert 30 < run.changes[0][0] < 32.5
    assert 40 < run.changes[-1][0] < 45 + deepest * (5.5 + switch_seconds)
    assert run.coverage(70.0, 119.0) >= COVERAGE
    assert run.coverage(33.0 + 2 * switch_seconds, 40.0) >= COVERAGE


@pytest.mark.parametrize("every", [5, 10])
def test_single_late_results_change_nothing(every: int):
    ladder = Ladder(rungs(), FRAME, MAX_AGE)
    for n in range(3000):
        ladder.observe(0.5 if n % every == 0 else 0.02, n * FRAME)
    assert ladder.rung.text == "full"


def test_a_few_results_in_which_everything_is_late_are_enough():
    """600 ms each: a window of a second never holds four."""
    ladder = Ladder(rungs(), FRAME, MAX_AGE)
    fell = [ladder.observe(0.6, 0.6 * n).text for n in range(1, 6)]
    assert fell == ["full"] * 3 + ["every 2nd frame"] * 2


@pytest.mark.parametrize(("pause", "falls"), [(1.3, False), (0.3, True)])
def test_late_results_of_a_source_that_comes_and_goes_open_no_engine(pause: float, falls: bool):
    """Four pictures in a burst, all of them late, then none: a pause of the source begins everything anew."""
    ladder, now = Ladder(rungs(), FRAME, MAX_AGE), 0.0
    for _ in range(100):
        for _ in range(4):
            now += 0.2
            ladder.observe(0.2, now)
        now += pause
    assert (ladder.rung.text != "full") is falls


def test_an_engine_whose_cost_nobody_knows_is_tried_ever_more_rarely():
    """200 ms, and none of the network's sizes will do; the fallback takes a tenth of it."""
    run = simulate(Ladder(rungs(fallback="small-net"), FRAME, MAX_AGE), lambda t: 0.2, 1800.0)
    trials = [when for when, text in run.changes if when > 6 and text == "input 192x192"]
    pauses = np.diff(trials)
    assert 4 <= len(trials) <= 9
    assert all(later > 1.5 * earlier for earlier, later in itertools.pairwise(pauses))
    assert run.last == "network small-net"
    assert run.coverage(100.0, 1790.0) >= COVERAGE


def test_the_fallback_is_left_once_the_network_would_do():
    run = simulate(
        Ladder(rungs(fallback="small-net"), FRAME, MAX_AGE), lambda t: 0.2 if t < 30 else 0.02, 200.0
    )
    assert run.changes[3][1] == "network small-net"
    assert run.last == "full"


def test_an_engine_that_does_not_open_is_left_out():
    ladder = Ladder(rungs(), FRAME, MAX_AGE)
    fall(ladder, 2)
    assert ladder.rung.text == "input 224x224"
    assert ladder.refuse().text == "every 2nd frame"
    fall(ladder, 1)
    assert ladder.rung.text == "input 192x192"
    assert ladder.refuse().text == "every 2nd frame"
    fall(ladder, 3)
    assert ladder.rung.text == "every 2nd frame"  # there is nothing below


def test_an_engine_that_does_not_open_on_the_way_up_is_left_out():
    ladder = Ladder(rungs(), FRAME, MAX_AGE)
    fall(ladder, 3)
    assert ladder.rung.text == "input 192x192"
    seconds = 0.0
    for refused in ("input 224x224", "every 2nd frame", "full"):
        while ladder.rung.text != refused:
            seconds += FRAME
            ladder.observe(0.001, seconds)
        assert ladder.refuse().text == "input 192x192"  # whose engine is open, and goes on
    assert {ladder.observe(0.001, seconds + n * FRAME).text for n in range(1000)} == {"input 192x192"}


def test_leaving_the_first_rung_out_fails():
    with pytest.raises(ValueError, match="the first rung cannot be left out"):
        Ladder(rungs(), FRAME, MAX_AGE).refuse()


def fall(ladder: Ladder, rungs: int) -> None:
    """Late results until so many rungs down, or for 10 s a rung."""
    start, texts = 0.0, {ladder.rung.text}
    while len(texts) <= rungs and start < 10.0 * rungs:
        start += FRAME
        texts.add(ladder.observe(0.2, start).text)
