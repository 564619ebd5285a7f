"""Percentiles, spreads and intervals: how sure a measured figure is."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "MINIMUM_GROUPS",
    "Interval",
    "bootstrap_difference",
    "bootstrap_mean",
    "bootstrap_ratio",
    "clopper_pearson",
    "mean_and_sd",
    "percentile",
    "poisson_interval",
    "smallest_detectable",
    "student_quantile",
]

MINIMUM_GROUPS = 8  # fewer resampled units give intervals that are far too narrow: print the units instead
RESAMPLES = 5_000
BISECTIONS = 60  # halves [0, 1] to below the spacing of doubles near 1


class Interval(NamedTuple):
    """Both ends of an interval, in the unit of the figure it belongs to."""

    low: float
    high: float


def percentile(samples: ArrayLike, rank: float) -> float:
    """The `rank`-th percentile (0 to 100) of samples, linear between the two nearest.

    Raises ValueError without a sample.
    """
    values = np.asarray(samples, np.float64)
    if values.size == 0:
        raise ValueError("a percentile of no samples is undefined")
    return float(np.percentile(values, rank))


def mean_and_sd(values: ArrayLike) -> tuple[float, float]:
    """Mean and sample standard deviation (n - 1); the deviation of a single value is NaN."""
    array = np.asarray(values, np.float64)
    return float(array.mean()), float(array.std(ddof=1)) if array.size > 1 else math.nan


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """The exact interval of a proportion (Clopper and Pearson, Biometrika 1934).

    It inverts the two binomial tails, so it covers at least `confidence` for independent trials. Raises
    ValueError unless 0 ≤ successes ≤ trials and trials ≥ 1.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} of {trials} is not a proportion")
    tail = (1.0 - confidence) / 2.0
    k = np.arange(trials + 1)
    log_choose = np.array([_log_choose(trials, count) for count in range(trials + 1)])

    def at_most(count: int, p: float) -> float:
        log_terms = log_choose + k * math.log(p) + (trials - k) * math.log1p(-p)
        return float(np.exp(log_terms[: count + 1]).sum())

    low, high = 0.0, 1.0
    if successes > 0:
        low = _bisect(lambda p: 1.0 - at_most(successes - 1, p) < tail)
    if successes < trials:
        high = _bisect(lambda p: at_most(successes, p) > tail)
    return Interval(low, high)


def poisson_interval(events: int, confidence: float = 0.95) -> Interval:
    """The exact interval of the number of events to expect where `events` were counted (Garwood, 1936).

    It inverts the two Poisson tails (Biometrika 28, 437-442); divided by the time watched, it is that of the
    rate. Raises ValueError on a negative count.
    """
    if events < 0:
        raise ValueError(f"{events} is not a count")
    tail = (1.0 - confidence) / 2.0
    span = events + 1.0  # the bisection runs over [0, 1), mapped to [0, ∞) with this at its middle

    def at_most(count: int, u: float) -> float:
        mean = span * u / (1.0 - u)
        return math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1))

    low = _bisect(lambda u: 1.0 - at_most(events - 1, u) < tail) if events else 0.0
    high = _bisect(lambda u: at_most(events, u) > tail)
    return Interval(span * low / (1.0 - low), span * high / (1.0 - high))


def bootstrap_mean(
    values: ArrayLike,
    groups: Sequence[str],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """Percentile bootstrap interval of the mean over frames, whole groups resampled.

    `values: (N,)` or `(S, N)` holds one figure a frame, or one a seed and frame; with seeds, those are
    resampled first, and then one draw of groups for all of them, which saw the same frames. `groups` names
    the group of each frame: frames of one sequence resemble each other, so resampling single frames would
    promise too much. Returns None with fewer than `MINIMUM_GROUPS` groups.

    The bootstrap's variance of a mean of S is (S - 1) / S too small, which matters for few seeds: their
    deviations are widened by √(S / (S - 1)) (Hesterberg, The American Statistician 69 (2015) 371-386). In
    simulations of two to five seeds on 100 frames the interval covers the truth in 93 to 99 % (two and three
    seeds without this: 90 to 97 %). Where frames do not vary at all, two seeds do in 62 %, three in 80 %.
    """
    table = np.atleast_2d(np.asarray(values, np.float64))
    if table.shape[1] != len(groups):
        raise ValueError(f"{table.shape[1]} values but {len(groups)} group names")
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < MINIMUM_GROUPS:
        return None
    if (seeds := len(table)) > 1:
        centre = table.mean(axis=0)
        table = centre + math.sqrt(seeds / (seeds - 1)) * (table - centre)
    sums = np.stack([np.bincount(index, row, len(names)) for row in table])  # (S, G)
    sizes = np.bincount(index, minlength=len(names))
    rng = np.random.default_rng(seed)
    seed_weights = _draws(rng, resamples, len(sums)) / len(sums)  # (B, S)
    group_weights = _draws(rng, resamples, len(names))  # (B, G)
    means = np.einsum("bs,sg,bg->b", seed_weights, sums, group_weights, optimize=True) / (
        group_weights @ sizes
    )
    tail = 50.0 * (1.0 - confidence)
    return Interval(percentile(means, tail), percentile(means, 100.0 - tail))


def bootstrap_difference(
    ours: ArrayLike,
    theirs: ArrayLike,
    groups: Sequence[str],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """`bootstrap_mean` of `ours - theirs`, paired: both score the same frames and seeds, in one order."""
    first, second = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if first.shape != second.shape:
        raise ValueError(f"not paired: {first.shape} against {second.shape}")
    return bootstrap_mean(first - second, groups, confidence=confidence, resamples=resamples, seed=seed)


def bootstrap_ratio(
    numerator: ArrayLike,
    denominator: ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """Percentile bootstrap interval of `median(numerator) / median(denominator)`, both resampled, unpaired.

    Each value is to stand for a block of consecutive measurements, so that values are about independent.
    Returns None with fewer than `MINIMUM_GROUPS` on either side.
    """
    above, below = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    if min(above.size, below.size) < MINIMUM_GROUPS:
        return None
    rng = np.random.default_rng(seed)
    ratios = np.median(rng.choice(above, (resamples, above.size)), axis=1) / np.median(
        rng.choice(below, (resamples, below.size)), axis=1
    )
    tail = 50.0 * (1.0 - confidence)
    return Interval(percentile(ratios, tail), percentile(ratios, 100.0 - tail))


def smallest_detectable(differences: ArrayLike, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest true difference that as many pairs as these would have shown with probability `power`.

    `differences: (n,)` are those of the pairs. A two-sided t-test at `alpha` finds a mean difference of
    (t[1 - alpha / 2] + t[power]) · sd / √n, with t's quantiles at n - 1 degrees of freedom: Bloom, "Minimum
    detectable effects", Evaluation Review 19 (1995) 547-556. NaN for fewer than two pairs.
    """
    values = np.asarray(differences, np.float64)
    if values.size < 2:
        return math.nan
    quantiles = (student_quantile(p, values.size - 1) for p in (1.0 - alpha / 2.0, power))
    return sum(quantiles) * float(values.std(ddof=1)) / math.sqrt(values.size)


def student_quantile(p: float, freedom: int) -> float:
    """Student's t below which it lies with probability `p` ≥ 0.5, by the exact series for whole `freedom`.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4, in θ = atan(t / √freedom).
    """

    def within(theta: float) -> float:  # probability of |T| ≤ t
        odd = freedom % 2
        term, total = (math.cos(theta) if odd else 1.0), 0.0
        for k in range(1 + odd, freedom, 2):
            total += term
            term *= math.cos(theta) ** 2 * k / (k + 1)
        total *= math.sin(theta)
        return 2.0 / math.pi * (theta + total) if odd else total

    turn = math.pi / 2.0
    return math.sqrt(freedom) * math.tan(turn * _bisect(lambda u: (1.0 + within(turn * u)) / 2.0 < p))


# quoted, for np.random is imported when it is named, and that takes a while
def _draws(rng: "np.random.Generator", resamples: int, units: int) -> NDArray[np.float64]:
    """How often each unit is drawn in each resample: (resamples, units), rows sum to `units`."""
    return rng.multinomial(units, np.full(units, 1.0 / units), size=resamples).astype(np.float64)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _bisect(below_root: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if below_root(middle) else (low, middle)
    return (low + high) / 2.0
