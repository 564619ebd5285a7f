"""What one arm brings over another, and over all networks together; `docs/paper.md` says why so."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.measure.comparison import FrameFigures
from rtpolyp.measure.statistics import (
    MINIMUM_GROUPS,
    Interval,
    bootstrap_mean,
    smallest_detectable,
    student_quantile,
)

__all__ = ["Gain", "Pairs", "Pooled", "gain_of", "pair_up", "pool"]

RESAMPLES = 5_000


@dataclass(frozen=True)
class Pairs:
    """Differences in one figure between two arms, by seed and image; positive where the first is better."""

    seeds: tuple[int, ...]  # (S)
    names: tuple[str, ...]  # (N) images, sorted
    groups: tuple[str, ...]  # (N) images of one group resemble each other
    differences: NDArray[np.float64]  # (S, N)

    @property
    def by_seed(self) -> NDArray[np.float64]:
        """(S) means over the images."""
        return np.asarray(self.differences.mean(axis=1), np.float64)


@dataclass(frozen=True)
class Gain:
    """The gain of one network on one test part."""

    mean: float
    interval: Interval | None  # 95 %; None with too few groups
    detectable: float  # the smallest true gain that so many pairs find in four of five experiments; or NaN
    by_seed: dict[int, float]
    by_group: dict[str, float]  # empty where there is an interval


@dataclass(frozen=True)
class Pooled:
    """The pooled gain of several networks on one test part, by random effects."""

    mean: float
    interval: Interval  # 95 %
    detectable: float
    between: float  # standard deviation of true gains between networks, τ
    networks: int
    pairs: int
    images_drawn: bool  # whether the interval counts the choice of the test images, too


def pair_up(
    ours: Mapping[int, FrameFigures], theirs: Mapping[int, FrameFigures], figure: str
) -> Pairs | None:
    """The pairs of runs that share a seed; None without one. Raises InputError where their images differ."""
    if not (seeds := sorted(ours.keys() & theirs.keys())):
        return None
    first = ours[seeds[0]]
    order = sorted(range(len(first.names)), key=first.names.__getitem__)
    names = tuple(first.names[index] for index in order)
    rows = [_in_order(ours[seed], names, figure) - _in_order(theirs[seed], names, figure) for seed in seeds]
    groups = tuple(first.groups[index] for index in order)
    return Pairs(tuple(seeds), names, groups, np.stack(rows))


def gain_of(pairs: Pairs) -> Gain:
    """The mean difference, its paired bootstrap by seeds and groups, and what so many pairs could show."""
    has_few = len(set(pairs.groups)) < MINIMUM_GROUPS
    by_image = pairs.differences.mean(axis=0)
    members = {group: np.array(pairs.groups) == group for group in sorted(set(pairs.groups))}
    return Gain(
        float(pairs.differences.mean()),
        bootstrap_mean(pairs.differences, pairs.groups),
        smallest_detectable(pairs.by_seed),
        dict(zip(pairs.seeds, map(float, pairs.by_seed), strict=True)),
        {group: float(by_image[where].mean()) for group, where in members.items()} if has_few else {},
    )


def pool(networks: Sequence[Pairs]) -> Pooled | None:
    """Random effects over networks; None for fewer than two, or where none has two seeds.

    DerSimonian and Laird, Controlled Clinical Trials 7 (1986) 177-188, for the spread between networks; each
    network's variance is that of its seeds' mean, by one variance of seeds for all. Hartung and Knapp,
    Statistics in Medicine 20 (2001) 3875-3889, for the interval with few studies, their factor not below one.
    """
    freedom = sum(len(pairs.seeds) - 1 for pairs in networks)
    if len(networks) < 2 or not freedom:
        return None
    if len({(pairs.names, pairs.groups) for pairs in networks}) > 1:
        raise InputError("networks that were scored on different images cannot be pooled. Score them again")
    gains = np.array([pairs.differences.mean() for pairs in networks])
    squares = sum(float(((pairs.by_seed - pairs.by_seed.mean()) ** 2).sum()) for pairs in networks)
    variances = squares / freedom / np.array([len(pairs.seeds) for pairs in networks])
    between = _between_variance(gains, variances)
    weights = 1 / (variances + between)
    shares = weights / weights.sum()
    mean = float(shares @ gains)
    scatter = float(weights @ (gains - mean) ** 2) / (len(gains) - 1)
    variance = max(1.0, scatter) / float(weights.sum())
    by_image = np.einsum("k,kn->n", shares, np.stack([pairs.differences.mean(axis=0) for pairs in networks]))
    of_images = _variance_by_groups(by_image, networks[0].groups)
    upper, power = (student_quantile(p, len(gains) - 1) for p in (0.975, 0.8))
    half = upper * math.sqrt(variance + (of_images or 0.0))
    return Pooled(
        mean,
        Interval(mean - half, mean + half),
        (upper + power) * math.sqrt(variance),
        math.sqrt(between),
        len(networks),
        sum(len(pairs.seeds) for pairs in networks),
        of_images is not None,
    )


def _between_variance(gains: NDArray[np.float64], variances: NDArray[np.float64]) -> float:
    """τ², the variance of true gains between networks, by moments."""
    weights = 1 / variances
    total = float(weights.sum())
    scatter = float(weights @ (gains - weights @ gains / total) ** 2)
    return max(0.0, (scatter - (len(gains) - 1)) / (total - float(weights @ weights) / total))


def _variance_by_groups(values: NDArray[np.float64], groups: Sequence[str]) -> float | None:
    """Variance of the mean of values (N) when groups are drawn again; None with too few of them."""
    names, index = np.unique(groups, return_inverse=True)
    if len(names) < MINIMUM_GROUPS:
        return None
    sums, sizes = np.bincount(index, values), np.bincount(index)
    draws = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    return float(np.var(draws @ sums / (draws @ sizes), ddof=1))


def _in_order(run: FrameFigures, names: Sequence[str], figure: str) -> NDArray[np.float64]:
    values = dict(zip(run.names, run.values[figure], strict=True))
    if other := sorted(values.keys() ^ set(names)):
        raise InputError(
            f"{run.path}: image {other[0]!r} is not in both runs of a pair ({len(other)} such images). "
            "Delete the cell, to make it again"
        )
    return np.array([values[name] for name in names])
