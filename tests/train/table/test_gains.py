from pathlib import Path

import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.measure.comparison import FrameFigures
from rtpolyp.measure.statistics import (
    bootstrap_difference,
    mean_and_sd,
    smallest_detectable,
    student_quantile,
)
from train.table.gains import Pairs, gain_of, pair_up, pool
from train.table.rows import read_rows

PILOT = Path("docs/results/pilot/kvasir-seg.paper80-10-10")


def run(seed: int, images: int = 20, groups: int = 20) -> FrameFigures:
    names = tuple(f"image{index}" for index in range(images))
    random = np.random.default_rng(seed)
    values = {"dice": random.uniform(0.5, 1, images), "iou": random.uniform(0.4, 0.9, images)}
    return FrameFigures(
        Path(f"seed{seed}.csv"), names, tuple(f"g{i % groups}" for i in range(images)), values
    )


def pairs(gain: float, seeds: int = 5, images: int = 40, scatter: float = 0.03, start: int = 0) -> Pairs:
    differences = gain + np.random.default_rng(start).normal(0, scatter, (seeds, images))
    names = tuple(f"{index:02}" for index in range(images))
    return Pairs(tuple(range(seeds)), names, names, differences)


def test_pairs_share_their_seed_and_their_images():
    ours, theirs = {0: run(0), 1: run(1), 3: run(3)}, {1: run(11), 0: run(10), 2: run(12)}
    found = pair_up(ours, theirs, "iou")
    assert found.seeds == (0, 1)
    assert found.names == tuple(sorted(run(0).names))
    index = run(0).names.index(found.names[7])
    assert found.differences[1, 7] == run(1).values["iou"][index] - run(11).values["iou"][index]
    assert pair_up({0: run(0)}, {1: run(1)}, "dice") is None


def test_a_pair_of_different_images_is_refused():
    with pytest.raises(
        InputError, match=r"seed1\.csv: image 'image9' is not in both runs of a pair \(1 such"
    ):
        pair_up({0: run(0, images=10)}, {0: run(1, images=9)}, "dice")


def test_a_gain_has_the_interval_and_the_detectable_gain_of_its_pairs():
    ours, theirs = [run(seed) for seed in range(3)], [run(10 + seed) for seed in range(3)]
    gain = gain_of(pair_up(dict(enumerate(ours)), dict(enumerate(theirs)), "dice"))
    first, second = (np.stack([one.values["dice"] for one in runs]) for runs in (ours, theirs))
    assert gain.mean == pytest.approx((first - second).mean())
    assert gain.interval == pytest.approx(bootstrap_difference(first, second, run(0).groups), abs=0.01)
    assert gain.detectable == pytest.approx(smallest_detectable((first - second).mean(axis=1)))
    assert not gain.by_group


def test_few_groups_have_a_gain_each_and_no_interval():
    gain = gain_of(pair_up({0: run(0, groups=3)}, {0: run(1, groups=3)}, "dice"))
    assert gain.interval is None
    difference = (run(0).values["dice"] - run(1).values["dice"])[2::3].mean()
    assert gain.by_group.keys() == {"g0", "g1", "g2"}
    assert gain.by_group["g2"] == pytest.approx(difference)


def test_swapping_the_arms_changes_the_sign_alone():
    ours, theirs = {s: run(s) for s in range(3)}, {s: run(10 + s) for s in range(3)}
    one, other = (gain_of(pair_up(*arms, "dice")) for arms in ((ours, theirs), (theirs, ours)))
    assert other.mean == pytest.approx(-one.mean)
    assert other.interval == pytest.approx((-one.interval.high, -one.interval.low))
    assert other.detectable == pytest.approx(one.detectable)
    networks = [pairs(0.01, start=index) for index in range(5)]
    mirrored = [Pairs(each.seeds, each.names, each.groups, -each.differences) for each in networks]
    one, other = pool(networks), pool(mirrored)
    assert other.mean == pytest.approx(-one.mean)
    assert other.interval == pytest.approx((-one.interval.high, -one.interval.low))
    assert (other.detectable, other.between) == pytest.approx((one.detectable, one.between))


def test_the_pooled_gain_of_alike_networks_is_their_mean_and_its_chance_that_of_the_seeds():
    networks = [pairs(0.01, start=index) for index in range(5)]
    found = pool(networks)
    gains = [each.differences.mean() for each in networks]
    seeds = np.mean([each.by_seed.var(ddof=1) for each in networks]) / 5
    variance = max(seeds, np.var(gains, ddof=1)) / 5
    assert found.mean == pytest.approx(np.mean(gains))
    assert found.between == pytest.approx(max(0.0, np.var(gains, ddof=1) - seeds) ** 0.5)
    upper, power = student_quantile(0.975, 4), student_quantile(0.8, 4)
    assert found.detectable == pytest.approx((upper + power) * variance**0.5)
    half = (found.interval.high - found.interval.low) / 2
    assert half > upper * variance**0.5  # the images' chance comes on top
    assert (found.networks, found.pairs, found.images_drawn) == (5, 25, True)


def test_networks_that_differ_widen_the_pooled_interval():
    alike = pool([pairs(0.01, start=index) for index in range(5)])
    unlike = pool([pairs(gain, start=index) for index, gain in enumerate((-0.04, -0.02, 0.01, 0.04, 0.06))])
    assert unlike.mean == pytest.approx(alike.mean, abs=1e-6)
    assert unlike.between == pytest.approx(0.04, abs=0.01)
    assert unlike.interval.low < 0 < alike.interval.low


def test_the_pooled_interval_covers_the_truth():
    """Known truth, other networks, seeds and images each time: the interval is no narrower than it says."""
    random = np.random.default_rng(7)
    covered = []
    for _ in range(60):
        images = random.normal(0, 0.02, 50)  # what an image brings in all networks
        networks = []
        for gain in 0.01 + random.normal(0, 0.01, 5):
            chance = random.normal(0, 0.06, (5, 50))
            names = tuple(f"{index:02}" for index in range(50))
            networks.append(Pairs((0, 1, 2, 3, 4), names, names, gain + images + chance))
        interval = pool(networks).interval
        covered.append(interval.low <= 0.01 <= interval.high)
    assert sum(covered) >= 54  # of 60; 95 % is 57


def test_few_groups_leave_the_pooled_interval_to_seeds_and_networks():
    networks = [pairs(0.01, start=index) for index in range(3)]
    grouped = [Pairs(p.seeds, p.names, tuple(n[0] for n in p.names), p.differences) for p in networks]
    assert not pool(grouped).images_drawn
    assert pool(grouped).interval.low > pool(networks).interval.low


def test_one_network_or_one_seed_each_cannot_be_pooled():
    assert pool([pairs(0.01)]) is None
    assert pool([]) is None
    assert pool([pairs(0.01, seeds=1), pairs(0.02, seeds=1)]) is None
    assert pool([pairs(0.01, seeds=1), pairs(0.02, seeds=2)]) is not None


def test_networks_of_different_images_are_not_pooled():
    with pytest.raises(InputError, match="scored on different images cannot be pooled"):
        pool([pairs(0.01), pairs(0.01, images=39)])


def test_what_the_design_expects_to_detect_comes_from_the_pilot():
    """The figures of docs/paper.md, from the committed cells."""
    deviations, residuals = {}, []
    for row in ("fcn", "pranet"):
        ours, theirs = (
            {seed: read_rows(PILOT / f"{net}.efficientnet-lite0.ImageNet/seed{seed}/{PILOT.name}.csv")
             for seed in range(3)} for net in (f"{row}-if", row)
        )  # fmt: skip
        found = pair_up(ours, theirs, "dice")
        deviations[row] = mean_and_sd(found.by_seed)[1]
        d = found.differences
        rest = d - d.mean(axis=0) - d.mean(axis=1, keepdims=True) + d.mean()
        residuals.append((rest**2).sum() / (2 * 99) / 100)
    single = np.mean(residuals) ** 0.5  # of a pair's mean, were images all that differs between seeds
    measured = np.mean([one**2 for one in deviations.values()]) ** 0.5

    def t(pairs: int) -> float:
        return sum(student_quantile(p, pairs - 1) for p in (0.975, 0.8))

    told = " ".join(Path("docs/paper.md").read_text().split())
    first, second = (f"{deviations[row]:.4f}"[1:] for row in ("fcn", "pranet"))
    assert f"seed differences is {first} and {second}, and {single:.4f}".replace(" 0.", " .") in told
    low, high = (t(5) * sd / 5**0.5 for sd in (measured, single))
    assert f"Five seeds then detect a gain of {low:.4f} to {high:.4f}".replace(" 0.", " .") in told
    assert f"seven seeds would detect {t(7) * single / 7**0.5:.4f}".replace(" 0.", " .") in told
    low, high = (t(5) * sd / 5 for sd in (measured, single))
    assert f"the design detects {low:.4f} to {high:.4f}".replace(" 0.", " .") in told
