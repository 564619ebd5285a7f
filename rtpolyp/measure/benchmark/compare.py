"""Is this run slower than an old one, by more than noise and a margin?

Each measurement is judged by the ratio of its headline's medians, turned so that more than 1 is slower. Its
interval is a bootstrap over the blocks of both runs (Künsch, Annals of Statistics 1989: neighbouring samples
resemble each other, blocks of them hardly do). The verdict is "slower" when even the interval's lower end
exceeds 1 + margin. With k measurements each interval covers 1 - 0.05 / k (Bonferroni), so that noise within
the runs alone makes any of them fail in at most 5 % of comparisons even where the true slowdown is the whole
margin, and practically never where there is none. What the interval cannot see is a machine that is
another one today: a changed clock, another program. That is what the margin is for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rtpolyp.errors import InputError
from rtpolyp.measure.benchmark.report import read_report
from rtpolyp.measure.benchmark.samples import THROUGHPUT
from rtpolyp.measure.statistics import Interval, bootstrap_ratio

__all__ = ["Change", "Verdict", "compare"]

Verdict = Literal["slower", "faster", "same"]
ERROR_RATE = 0.05  # of the whole comparison


@dataclass(frozen=True)
class Change:
    """One measurement, then and now."""

    bundle: str
    measurement: str
    figure: str
    old: float  # median, milliseconds or frames/s
    new: float
    slowdown: float  # ratio of times, new / old: 1.2 is a fifth slower
    interval: Interval  # of the slowdown
    verdict: Verdict  # beyond the margin, or within it


def compare(new: Mapping[str, Any], old_file: Path, margin: float) -> list[Change]:
    """Compare a report, as `to_dict` gives it, with an earlier run's file; a `margin` of 0.1 is 10 %.

    Raises InputError where they cannot be compared: another processor, card, thread count, clip or bundle, a
    measurement that the old run did not make, or too few samples. Everything but the bundles is checked even
    where `new` has no networks yet.
    """
    old = read_report(old_file)
    try:
        _check_same(new, old, old_file)
        pairs = _pairs(new, old, old_file)
        return [_change(*pair, old_file, margin, ERROR_RATE / len(pairs)) for pair in pairs]
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        raise InputError(f"{old_file}: is a damaged report ({exc!r}); run bench again for a new one") from exc


def _check_same(new: Mapping[str, Any], old: Mapping[str, Any], old_file: Path) -> None:
    for what in ("processor", "cores", "card"):
        _same(what, old["machine"][what], new["machine"][what], old_file)
    for what in ("threads", "clip"):
        _same(what, old[what], new[what], old_file)


def _same(what: str, then: object, now: object, old_file: Path) -> None:
    if then != now:
        raise InputError(
            f"{old_file}: measured with {what} {then}, this run with {now}, so not comparable; "
            "repeat the old run as this one"
        )


def _pairs(
    new: Mapping[str, Any], old: Mapping[str, Any], old_file: Path
) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Bundle, measurement then, measurement now."""
    before = {network["bundle"]: network for network in old["networks"]}
    pairs = []
    for network in new["networks"]:
        bundle = network["bundle"]
        if bundle not in before:
            raise InputError(f"{old_file}: holds {', '.join(before)}, not {bundle}; bench the same networks")
        _same(f"bundle {bundle}", before[bundle]["digest"], network["digest"], old_file)
        measured = {entry["name"]: entry for entry in before[bundle]["measurements"]}
        for entry in network["measurements"]:
            if (name := entry["name"]) not in measured:
                raise InputError(f"{old_file}: holds no {name!r} of {bundle}; run bench with its options")
            pairs.append((bundle, measured[name], entry))
    return pairs


def _change(
    bundle: str,
    old: dict[str, Any],
    new: dict[str, Any],
    old_file: Path,
    margin: float,
    error_rate: float,
) -> Change:
    figure = new["headline"]
    then, now = old["figures"][figure], new["figures"][figure]
    more_is_better = figure == THROUGHPUT
    slow, quick = (then, now) if more_is_better else (now, then)
    interval = bootstrap_ratio(slow["blocks"], quick["blocks"], confidence=1 - error_rate)
    if interval is None:
        raise InputError(
            f"{old_file}: {new['name']} of {bundle} has too few samples, then or now; raise the duration"
        )
    slowdown = float(np.median(slow["blocks"]) / np.median(quick["blocks"]))
    verdict: Verdict = "same"
    if interval.low > 1 + margin:
        verdict = "slower"
    elif interval.high < 1 / (1 + margin):
        verdict = "faster"
    return Change(bundle, new["name"], figure, then["median"], now["median"], slowdown, interval, verdict)
