"""All measurements of one engine, in turn; the engine is a stub of known speed."""

from pathlib import Path

import pytest

from rtpolyp.measure.benchmark import bench
from rtpolyp.measure.benchmark.bench import Options, bench_engine
from rtpolyp.measure.benchmark.samples import Schedule
from tests.runtime.red_disc import SPEC, disc_clip
from tests.runtime.stub_engine import StubEngine

BRIEF = Schedule(warm_up_seconds=0.05, seconds=0.1)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return disc_clip(tmp_path / "disc.mp4", frames=10)


@pytest.fixture
def opened(monkeypatch) -> list[dict]:
    """How each engine was asked for: one stream of 5 ms for latency, three for throughput."""
    options: list[dict] = []

    def open_engine(name: str, **asked: object) -> StubEngine:
        options.append({"name": name} | asked)
        capacity = 1 if asked["optimise_for"] == "latency" else 3
        return StubEngine(SPEC, capacity=capacity, delay_seconds=0.005)

    monkeypatch.setattr(bench, "open_engine", open_engine)
    return options


def test_engine_alone_then_busy_then_end_to_end_then_live(opened, clip):
    options = Options("openvino", "int8", 2, paced=8, saturation=True, schedule=BRIEF)
    said: list[str] = []
    report = bench_engine("net", clip, options, progress=said.append)
    assert [measurement.name for measurement in report.measurements] == [
        "engine, one frame at a time",
        "engine, 3 in flight",
        "end to end, as fast as it goes",
        "end to end, live at 8 frames/s",
    ]
    assert [asked["optimise_for"] for asked in opened] == ["latency", "throughput", "latency"]
    assert all((a["backend"], a["precision"], a["threads"]) == ("openvino", "int8", 2) for a in opened)
    alone = report.measurements[0].samples
    assert {"latency", "enqueue", "compute", "throughput", "preprocess", "postprocess"} == alone.keys()
    full_speed = report.measurements[2].figures["throughput"].median
    assert report.saturation.trials[0].rate == full_speed / 2
    assert (report.bundle, report.digest, report.size) == ("stub", SPEC.digest, SPEC.size)
    assert len(said) == 7


def test_without_live_options_nothing_live_is_measured(opened, clip):
    report = bench_engine("net", clip, Options(schedule=BRIEF))
    assert len(report.measurements) == 3
    assert report.saturation is None
    assert [asked["optimise_for"] for asked in opened] == ["latency", "throughput"]


def test_a_live_stream_that_overruns_is_told_and_the_rest_is_kept(opened, clip):
    report = bench_engine("net", clip, Options(paced=9_000, schedule=Schedule(0.1, 0.0)))
    assert len(report.measurements) == 3
    (note,) = report.notes
    assert "lower the pace" in note
