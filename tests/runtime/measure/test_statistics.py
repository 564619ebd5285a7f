import math

import numpy as np
import pytest

from rtpolyp.measure.statistics import (
    bootstrap_difference,
    bootstrap_mean,
    bootstrap_ratio,
    clopper_pearson,
    mean_and_sd,
    percentile,
    poisson_interval,
    smallest_detectable,
)


def test_percentile() -> None:
    samples = [5.0, 1.0, 3.0, 2.0, 4.0]
    assert [percentile(samples, rank) for rank in (0, 25, 50, 90, 100)] == [1.0, 2.0, 3.0, 4.6, 5.0]


def test_percentile_fails_without_samples() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)


def test_mean_and_sd() -> None:
    assert mean_and_sd([2, 4, 4, 4, 5, 5, 7, 9]) == pytest.approx((5.0, math.sqrt(32 / 7)))
    assert math.isnan(mean_and_sd([1.0])[1])


# Exact limits as statistics packages print them, to six digits.
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.308497),
        (1, 10, 0.002529, 0.445016),
        (5, 10, 0.187086, 0.812914),
        (10, 10, 0.691503, 1.0),
        (1, 15, 0.001685, 0.319484),
        (8, 100, 0.035172, 0.151558),
    ],
)
def test_clopper_pearson(successes: int, trials: int, low: float, high: float) -> None:
    assert clopper_pearson(successes, trials) == pytest.approx((low, high), abs=1e-5)


@pytest.mark.parametrize(("successes", "trials"), [(3, 40), (39, 40)])
def test_clopper_pearson_puts_half_of_the_error_in_each_tail(successes: int, trials: int) -> None:
    def probability(count: int, p: float) -> float:
        return math.comb(trials, count) * p**count * (1 - p) ** (trials - count)

    low, high = clopper_pearson(successes, trials, confidence=0.9)
    at_least = math.fsum(probability(k, low) for k in range(successes, trials + 1))
    at_most = math.fsum(probability(k, high) for k in range(successes + 1))
    assert (at_least, at_most) == pytest.approx((0.05, 0.05), abs=1e-9)


def test_clopper_pearson_of_many_trials_nears_the_normal_interval() -> None:
    half = 1.96 * math.sqrt(0.35 * 0.65 / 20_000)
    assert clopper_pearson(7_000, 20_000) == pytest.approx((0.35 - half, 0.35 + half), abs=1e-4)


@pytest.mark.parametrize(("successes", "trials"), [(-1, 3), (4, 3), (0, 0)])
def test_clopper_pearson_fails(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="not a proportion"):
        clopper_pearson(successes, trials)


# Exact limits as tables print them: half the chi-squared quantiles at 2k and 2k + 2 degrees of freedom.
@pytest.mark.parametrize(
    ("events", "low", "high"),
    [(0, 0.0, 3.688879), (1, 0.025318, 5.571643), (5, 1.623486, 11.668332), (10, 4.795389, 18.390356)],
)
def test_poisson_interval(events: int, low: float, high: float) -> None:
    assert poisson_interval(events) == pytest.approx((low, high), abs=1e-5)


def test_poisson_interval_of_many_events_nears_the_normal_interval() -> None:
    assert poisson_interval(10_000) == pytest.approx((10_000 - 196, 10_000 + 196), abs=3)


def test_poisson_interval_fails() -> None:
    with pytest.raises(ValueError, match="-1 is not a count"):
        poisson_interval(-1)


def test_bootstrap_of_single_frames_has_the_textbook_width() -> None:
    values = np.random.default_rng(0).normal(0.8, 0.1, 400)
    low, high = bootstrap_mean(values, [str(i) for i in range(400)])
    half = 1.96 * values.std(ddof=1) / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.05 * half)


def test_bootstrap_resamples_whole_groups() -> None:
    group_means = np.random.default_rng(1).normal(0.8, 0.1, 40)
    values = np.repeat(group_means, 10)
    groups = [f"sequence {i // 10}" for i in range(400)]
    low, high = bootstrap_mean(values, groups)
    assert high - low == pytest.approx(2 * 1.96 * group_means.std() / math.sqrt(40), rel=0.08)


def test_bootstrap_weighs_groups_by_their_frames() -> None:
    values = [1.0] * 93 + [0.0] * 7
    groups = ["large"] * 93 + [f"small {i}" for i in range(7)]
    low, high = bootstrap_mean(values, groups)
    assert low < 0.93 < high  # the mean over frames, not over groups (0.125)


def test_bootstrap_resamples_seeds_first() -> None:
    offsets = [-0.02, -0.01, 0.0, 0.01, 0.02]
    values = np.zeros((5, 50)) + np.reshape(offsets, (5, 1))
    low, high = bootstrap_mean(values, [str(i) for i in range(50)])
    # the sample's standard error, not the resamples', which is 11 % smaller for five
    assert high - low == pytest.approx(2 * 1.96 * np.std(offsets, ddof=1) / math.sqrt(5), rel=0.06)


def test_bootstrap_over_seeds_and_groups_covers_the_truth() -> None:
    """Known truth: 0.01, with spreads of seeds, frames and what is left as the networks here have them."""
    rng = np.random.default_rng(5)
    groups = [f"sequence {i // 2}" for i in range(100)]
    covered = 0
    for trial in range(200):
        of_seed, of_group = rng.normal(0, 0.01, (3, 1)), np.repeat(rng.normal(0, 0.05, (1, 50)), 2, axis=1)
        values = 0.01 + of_seed + of_group + rng.normal(0, 0.05, (3, 100))
        low, high = bootstrap_mean(values, groups, resamples=200, seed=trial)
        covered += low <= 0.01 <= high
    assert 0.90 <= covered / 200 <= 0.99  # 0.95 is promised, and 200 trials leave ± 0.03


def test_bootstrap_gives_no_interval_over_few_groups() -> None:
    values = np.linspace(0, 1, 70)
    assert bootstrap_mean(values, [f"sequence {i % 7}" for i in range(70)]) is None
    assert bootstrap_mean(values, [f"sequence {i % 8}" for i in range(70)]) is not None


def test_bootstrap_is_reproducible() -> None:
    values, groups = np.linspace(0, 1, 50), [str(i) for i in range(50)]
    assert bootstrap_mean(values, groups, seed=4) == bootstrap_mean(values, groups, seed=4)
    assert bootstrap_mean(values, groups, seed=4) != bootstrap_mean(values, groups, seed=5)


def test_paired_bootstrap_sees_a_small_constant_gain() -> None:
    theirs = np.random.default_rng(2).uniform(0.3, 1.0, 100)
    ours = theirs + 0.005 + np.random.default_rng(3).normal(0, 0.002, 100)
    groups = [str(i) for i in range(100)]
    low, high = bootstrap_difference(ours, theirs, groups)
    assert 0.004 < low < 0.005 < high < 0.006
    alone = bootstrap_mean(ours, groups)
    assert alone.high - alone.low > 20 * (high - low)


def test_bootstrap_fails() -> None:
    with pytest.raises(ValueError, match="3 values but 2 group names"):
        bootstrap_mean([1, 2, 3], ["a", "b"])
    with pytest.raises(ValueError, match="not paired"):
        bootstrap_difference([1, 2, 3], [1, 2], ["a", "b", "c"])


# One-sample t-tests: published critical values of Student's t at 0.975 and 0.8.
@pytest.mark.parametrize(
    ("pairs", "critical", "powered"),
    [
        (2, 12.7062, 1.3764),
        (3, 4.3027, 1.0607),
        (4, 3.1824, 0.9785),
        (5, 2.7764, 0.9410),
        (10, 2.2622, 0.8834),
        (31, 2.0423, 0.8538),
    ],
)
def test_smallest_detectable(pairs: int, critical: float, powered: float) -> None:
    differences = np.random.default_rng(pairs).normal(0.1, 0.02, pairs)
    error = np.std(differences, ddof=1) / math.sqrt(pairs)
    assert smallest_detectable(differences) == pytest.approx((critical + powered) * error, rel=1e-4)


def test_smallest_detectable_is_detected_in_four_of_five_experiments() -> None:
    seeds, spread, critical = 5, 0.01, 2.7764
    unit = np.array([-1.0, -1.0, 0.0, 1.0, 1.0])  # of sample deviation 1
    truth = smallest_detectable(spread * unit)
    gains = np.random.default_rng(0).normal(truth, spread, (20_000, seeds))
    t = gains.mean(axis=1) / (gains.std(axis=1, ddof=1) / math.sqrt(seeds))
    # Bloom's sum of quantiles comes out a percent below the noncentral t's 80 % for five pairs
    assert np.mean(np.abs(t) > critical) == pytest.approx(0.8, abs=0.02)


def test_smallest_detectable_needs_two_pairs() -> None:
    assert math.isnan(smallest_detectable([0.1]))


def test_bootstrap_ratio_covers_the_true_ratio_of_medians_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        low, high = bootstrap_ratio(
            12 * rng.lognormal(0, 0.05, 30), 10 * rng.lognormal(0, 0.05, 30), confidence=0.9, resamples=500
        )
        covered += low <= 1.2 <= high
    assert 0.84 <= covered / 200 <= 0.98


def test_bootstrap_ratio_of_constants_is_exact() -> None:
    assert bootstrap_ratio([3.0] * 8, [2.0] * 9) == (1.5, 1.5)


def test_bootstrap_ratio_gives_no_interval_over_few_blocks() -> None:
    assert bootstrap_ratio([1.0] * 7, [1.0] * 30) is None
    assert bootstrap_ratio([1.0] * 30, [1.0] * 7) is None
