"""Two runs compared: a real slowdown fails, noise does not, and what cannot be compared is refused."""

import copy
import dataclasses
import json
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.inference.engine import Prediction, Timing
from rtpolyp.measure.benchmark import engine as engine_bench
from rtpolyp.measure.benchmark import metered
from rtpolyp.measure.benchmark.compare import Change, compare
from rtpolyp.measure.benchmark.conditions import Conditions
from rtpolyp.measure.benchmark.engine import measure_engine
from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.measure.benchmark.report import NetworkReport, Report, to_dict
from rtpolyp.measure.benchmark.samples import THROUGHPUT, Measurement, Samples, Schedule
from tests.runtime.red_disc import SPEC

Against = Callable[[dict, dict, float], list[Change]]
QUIET = Conditions(None, None, None, None)


def report_of(*measurements: Measurement) -> dict:
    network = NetworkReport("net", "0123456789abcdef", "pranet-if", "none", (128, 96), measurements)
    machine = this_machine()
    report = Report(machine, machine.cores, "clip", Schedule(), [network])
    return json.loads(json.dumps(to_dict(report)))  # as it comes from a file


@pytest.fixture
def against(tmp_path: Path) -> Against:
    """`compare`, with the old report in a file."""

    def run(new: dict, old: dict, margin: float) -> list[Change]:
        path = tmp_path / "old.json"
        path.write_text(json.dumps(old))
        return compare(new, path, margin)

    return run


def noisy(seed: int, slowdown: float = 1.0) -> dict:
    """What machines do: a skewed spread, load that drifts over seconds, now and then a hiccup."""
    rng = np.random.default_rng(seed)

    def times(milliseconds: float, count: int) -> Samples:
        drift = np.cumsum(rng.normal(0, 0.002, count))
        spread = rng.gamma(2.0, 0.02, count)
        hiccups = np.where(rng.random(count) < 0.01, rng.exponential(3.0, count), 0.0)
        return slowdown * milliseconds * (1 + drift - drift.mean() + spread + hiccups)

    return report_of(
        Measurement("alone", "latency", "stub", {"latency": times(10, 300)}, QUIET),
        Measurement("busy", THROUGHPUT, "stub", {THROUGHPUT: 1000 / times(6, 30)}, QUIET),
        Measurement("live", "glass-to-glass", "stub", {"glass-to-glass": times(25, 75)}, QUIET),
    )


@pytest.mark.parametrize("run", range(10))
def test_a_fifth_slower_fails_and_noise_does_not(against, run: int):
    old = noisy(100 + run)
    assert {change.verdict for change in against(noisy(run), old, 0.1)} == {"same"}
    assert {change.verdict for change in against(noisy(run, 1.2), old, 0.1)} == {"slower"}
    assert {change.verdict for change in against(noisy(run, 1 / 1.2), old, 0.1)} == {"faster"}


class Clockwork:
    """An engine and the clock that it is measured by: what a request takes, and nothing else, is time."""

    backend, precision, spec, description, capacity, batch = "clockwork", "fp32", SPEC, "clockwork", 1, 1

    def __init__(self, seed: int, milliseconds: float) -> None:
        self._rng, self._seconds, self._now = np.random.default_rng(seed), milliseconds / 1000, 0.0

    def perf_counter(self) -> float:
        return self._now

    def submit(self, frames: np.ndarray) -> "Future[Prediction]":
        seconds = self._seconds * (1 + self._rng.gamma(1.0, 0.05))
        self._now += seconds
        future: Future[Prediction] = Future()
        future.set_result(Prediction(frames[..., 0], timing=Timing(seconds)))
        return future


@pytest.mark.parametrize("run", range(10))
def test_a_fifth_slower_engine_fails_and_the_same_one_does_not(against, run: int, monkeypatch):
    def measured(seed: int, milliseconds: float) -> dict:
        engine = Clockwork(seed, milliseconds)
        for module in (engine_bench, metered):
            monkeypatch.setattr(module, "time", engine)
        return report_of(measure_engine(engine, [np.zeros((1, 4, 4, 3), np.uint8)], Schedule()))

    old = measured(100 + run, 10)
    assert old["networks"][0]["measurements"][0]["figures"]["latency"]["count"] > 200
    assert against(measured(run, 10), old, 0.1)[0].verdict == "same"
    assert against(measured(run, 12), old, 0.1)[0].verdict == "slower"


def test_a_change_tells_both_medians_and_the_ratio_of_times(against):
    old, new = noisy(0), noisy(0, 2.0)
    latency, throughput, _ = against(new, old, 0.1)
    assert (latency.bundle, latency.measurement, latency.figure) == ("net", "alone", "latency")
    assert latency.new == pytest.approx(2 * latency.old)
    assert latency.slowdown == pytest.approx(2.0)
    assert throughput.new == pytest.approx(throughput.old / 2)
    assert throughput.slowdown == pytest.approx(2.0)
    assert latency.interval.low < 2.0 < latency.interval.high


def test_within_the_margin_is_the_same(against):
    old = noisy(1)
    assert {change.verdict for change in against(noisy(2, 1.2), old, 0.3)} == {"same"}


def changed(report: dict, value: object, *path: object) -> dict:
    other = copy.deepcopy(report)
    place = other
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return other


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("machine", "processor"), "Abacus", "old.json: measured with processor Abacus, this run with"),
        (("machine", "cores"), 99, "measured with cores 99"),
        (("machine", "card"), "NVIDIA H100 (sm90)", "measured with card NVIDIA H100"),
        (("threads",), 99, "measured with threads 99"),
        (("clip",), "another", "measured with clip another, this run with clip"),
        (("networks", 0, "digest"), "feed", "measured with bundle net feed"),
        (("networks", 0, "bundle"), "other", "holds other, not net"),
        (("networks", 0, "measurements"), [], "holds no 'alone' of net"),
        (("networks", 0, "measurements", 0, "figures", "latency", "blocks"), [1.0] * 7, "too few samples"),
        (("networks", 0, "measurements", 0, "figures"), {}, "is a damaged report"),
        (("machine",), 7, "is a damaged report"),
    ],
)
def test_what_cannot_be_compared_is_refused(against, path, value, message):
    report = noisy(3)
    with pytest.raises(InputError, match=message):
        against(report, changed(report, value, *path), 0.1)


def test_more_in_the_old_report_does_not_matter(against):
    old = noisy(4)
    new = changed(old, old["networks"][0]["measurements"][:1], "networks", 0, "measurements")
    assert [change.measurement for change in against(new, old, 0.1)] == ["alone"]


def test_other_versions_are_comparable_for_that_is_what_is_asked(against):
    report = noisy(5)
    assert against(report, changed(report, "0.0.1", "machine", "versions", "openvino"), 0.1)


def test_dropped_frames_do_not_disturb(against):
    measurement = Measurement("live", "glass-to-glass", "stub", {"glass-to-glass": np.ones(20)}, QUIET)
    report = report_of(dataclasses.replace(measurement, dropped=3, late=1))
    assert against(report, report, 0.0)[0].verdict == "same"
