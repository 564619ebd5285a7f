import numpy as np
import pytest

from rtpolyp.measure.benchmark.samples import BLOCKS, RARE, Summary, block_medians, rates


def test_a_summary_of_known_samples():
    summary = Summary.of(np.arange(1.0, 102.0))
    assert (summary.count, summary.minimum, summary.mean, summary.median) == (101, 1.0, 51.0, 51.0)
    assert (summary.p90, summary.p95, summary.p99, summary.maximum) == (91.0, 96.0, 100.0, 101.0)
    assert summary.variation == pytest.approx(np.std(np.arange(101)) / 51)


@pytest.mark.parametrize(("count", "told"), [(RARE - 1, False), (RARE, True)])
def test_p99_9_needs_5000_samples(count: int, told: bool):
    assert RARE == 5_000
    summary = Summary.of(np.linspace(0.0, 1000.0, count))
    assert summary.p99_9 == (pytest.approx(999.0) if told else None)


def test_a_summary_of_nothing_fails():
    with pytest.raises(ValueError, match="no samples"):
        Summary.of(np.array([]))


@pytest.mark.parametrize("count", [3, BLOCKS, 1000])
def test_blocks_are_consecutive_and_few(count: int):
    medians = block_medians(np.arange(float(count)))
    assert len(medians) == min(count, BLOCKS)
    assert medians == sorted(medians)
    assert np.mean(medians) == pytest.approx((count - 1) / 2, rel=0.02)


def test_rates_of_completions_in_pairs():
    finished = [t for k in range(200) for t in (0.02 * k, 0.02 * k + 0.001)]  # two streams, 100 a second
    found = rates(finished, at_least=2)
    assert found == pytest.approx(np.full(len(found), 100.0))
    assert len(found) >= BLOCKS


def test_rates_show_a_stall():
    finished = np.concatenate([np.arange(300) * 0.01, 5.0 + np.arange(300) * 0.01])
    found = rates(finished, at_least=1)
    assert np.median(found) == pytest.approx(100)
    assert found.min() < 10


def test_one_completion_makes_no_rate():
    with pytest.raises(ValueError, match="1 completions"):
        rates([1.0], at_least=1)
