import dataclasses
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from rtpolyp.errors import InputError, OutputError
from rtpolyp.inference.processor import this_processor
from rtpolyp.measure.benchmark import machine
from rtpolyp.measure.benchmark.conditions import Conditions
from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.measure.benchmark.report import NetworkReport, Report, read_report, to_dict, write_report
from rtpolyp.measure.benchmark.samples import Measurement, Schedule
from rtpolyp.measure.benchmark.stability import describe, doubts
from rtpolyp.measure.benchmark.stream import Saturation, Trial

STEADY = Measurement(
    name="engine, one frame at a time",
    headline="latency",
    engine="stub",
    samples={"latency": np.full(50, 5.0), "enqueue": np.full(50, 0.1), "compute": np.full(50, 4.9)},
    conditions=Conditions(steal=0.0, pressure=0.01, throttled_seconds=0.0, thermal_events=0),
)


@pytest.fixture
def report() -> Report:
    saturation = Saturation(20.0, (Trial(20.0, True, 30.0, 0),))
    network = NetworkReport("net", "feed", "pranet-if", "none", (128, 96), (STEADY,), saturation)
    return Report(this_machine(), 2, "clip", Schedule(), [network])


def test_a_report_comes_back_as_it_was_written(report, tmp_path):
    write_report(report, tmp_path / "new.json")
    read = read_report(tmp_path / "new.json")
    (network,) = read["networks"]
    (measurement,) = network["measurements"]
    assert read["machine"]["processor"] == this_processor().name
    assert network["saturation"]["rate"] == 20.0
    assert network["saturation"]["trials"][0]["kept_up"] is True
    assert measurement["figures"]["latency"]["median"] == 5.0
    assert measurement["figures"]["latency"]["p99_9"] is None
    assert len(measurement["figures"]["latency"]["blocks"]) == 30
    assert measurement["doubts"] == []
    assert to_dict(report)["schedule"] == {"warm_up_seconds": 0.2, "seconds": 3.0, "iterations": 10}


def test_a_report_that_cannot_be_written_fails(report, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"new\.json: cannot be written"):
        write_report(report, tmp_path / "file" / "new.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("{", "is not JSON"),
        ("[1]", "is no benchmark report"),
        ('{"schema": 99, "networks": []}', "is no benchmark report of schema 1"),
        ('{"schema": 1, "Dice": 0.9}', "is no benchmark report"),
    ],
)
def test_what_is_no_report_fails(tmp_path, text, message):
    path = tmp_path / "old.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=rf"old\.json: {message}.*give a file that rtpolyp bench"):
        read_report(path)


def test_the_stamp_names_hardware_versions_and_revision():
    stamp = this_machine()
    assert stamp.processor == this_processor().name
    assert stamp.versions.keys() >= {"rtpolyp", "numpy", "opencv-python", "av"}
    assert re.fullmatch(r"[0-9a-f]{12}\+?", stamp.revision or "0" * 12)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", stamp.measured_at)


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_the_revision_is_of_the_checkout_that_tracks_the_package(tmp_path, monkeypatch):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    monkeypatch.setattr(machine, "PACKAGE", tmp_path / "package")
    assert this_machine().revision is None  # no repository at all
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "somebody else's")
    assert this_machine().revision is None  # a wheel that happens to lie in one
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "ours")
    clean = this_machine().revision
    assert re.fullmatch("[0-9a-f]{12}", clean)
    (tmp_path / "package" / "__init__.py").write_text("changed = True\n")
    assert this_machine().revision == f"{clean}+"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert this_machine().revision is None  # no git


def test_a_steady_measurement_raises_no_doubt():
    assert doubts(STEADY) == []


@pytest.mark.parametrize(
    ("figures", "conditions", "said"),
    [
        ({"compute": np.linspace(4.7, 5.2, 50)}, {}, "unstable (coefficient of variation 3.0%"),
        ({"enqueue": np.full(50, 4.5)}, {}, "enqueueing takes as long"),
        ({}, {"steal": 0.02}, "stole 2.0% of the time"),
        ({}, {"pressure": 0.4}, "40% of the time a task waited"),
        ({}, {"throttled_seconds": 0.3}, "held this process back for 0.30 s"),
        ({}, {"thermal_events": 2}, "too hot 2 times"),
    ],
    ids=["compute", "enqueue", "steal", "pressure", "throttled", "thermal"],
)
def test_each_doubt_is_told_with_its_remedy(figures, conditions, said):
    doubted = dataclasses.replace(
        STEADY,
        samples=STEADY.samples | figures,
        conditions=dataclasses.replace(STEADY.conditions, **conditions),
    )
    (line,) = doubts(doubted)
    assert said in line
    assert ": " in line


def test_variation_just_below_the_limit_is_no_doubt():
    samples = STEADY.samples | {"compute": np.linspace(4.8, 5.1, 50)}
    assert samples["compute"].std() / samples["compute"].mean() < 0.025
    assert doubts(dataclasses.replace(STEADY, samples=samples)) == []


def test_what_is_unknown_is_called_so():
    assert describe(Conditions(None, None, None, None)) == (
        "steal unknown, waiting for a core unknown, throttled unknown, too hot unknown"
    )
    assert describe(STEADY.conditions).startswith("steal 0.0%, waiting for a core 1%, throttled 0.00 s")
