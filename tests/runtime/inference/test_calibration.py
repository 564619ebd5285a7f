import dataclasses
import json
from pathlib import Path

import pytest

from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.calibration import CalibrationKey, cache_folder, choose, measure, recall, remember
from rtpolyp.inference.processor import Processor, this_processor
from tests.runtime.stub_engine import StubEngine

PROCESSOR = Processor("EPYC", ("avx2", "fma"), 2)
KEY = CalibrationKey(PROCESSOR, "openvino 1", "ab12", (288, 288), "latency", None, 1)
TIMES = {"fp32": 19.0, "bf16": 15.1, "int8": 11.2}


def test_measures_each_engines_own_time(bundle: Bundle):
    slow = StubEngine(bundle.spec, capacity=1, delay_seconds=0.02)
    fast = StubEngine(bundle.spec, capacity=1, delay_seconds=0.005)
    with slow, fast:
        times = measure({"fp32": slow, "int8": fast}, seconds=0.1)
    assert 20 <= times["fp32"] < 60
    assert 5 <= times["int8"] < times["fp32"]


def test_streams_count(bundle: Bundle):
    one = StubEngine(bundle.spec, capacity=1, delay_seconds=0.02)
    four = StubEngine(bundle.spec, capacity=4, delay_seconds=0.02)
    with one, four:
        times = measure({"fp32": one, "int8": four}, seconds=0.1)
    assert times["int8"] < times["fp32"] / 2


@pytest.mark.parametrize(
    ("times", "chosen"),
    [
        (TIMES, "int8"),
        ({"fp32": 10.0, "int8": 9.6}, "fp32"),  # within the noise
        ({"fp32": 10.0, "int8": 9.4}, "int8"),
        ({"fp32": 10.0, "bf16": 8.0, "int8": 12.0}, "bf16"),
        ({"fp32": 10.0, "bf16": 30.0}, "fp32"),
    ],
)
def test_choose(times, chosen):
    assert choose(times) == chosen


def test_remembered_is_recalled(tmp_path: Path):
    assert recall(tmp_path, KEY) is None
    remember(tmp_path / "made" / "on demand", KEY, TIMES)
    assert recall(tmp_path / "made" / "on demand", KEY) == TIMES
    assert [path.suffix for path in (tmp_path / "made" / "on demand").iterdir()] == [".json"]


@pytest.mark.parametrize(
    "change",
    [
        {"processor": Processor("EPYC", ("avx2",), 2)},
        {"processor": Processor("EPYC", ("avx2", "fma"), 4)},
        {"library": "openvino 2"},
        {"bundle": "cd34"},
        {"size": (224, 224)},
        {"optimise_for": "throughput"},
        {"threads": 1},
        {"batch": 2},
    ],
)
def test_another_key_is_not_recalled(tmp_path: Path, change):
    remember(tmp_path, KEY, TIMES)
    assert recall(tmp_path, dataclasses.replace(KEY, **change)) is None


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"milliseconds": 3}', '{"milliseconds": {"fp32": "fast"}}']
    + [
        json.dumps({"milliseconds": times})
        for times in ({"int8": 1.0}, {"fp32": 1.0, "fp4": 0.1}, {"fp32": -1})
    ],
)
def test_a_broken_file_is_ignored_and_replaced(tmp_path: Path, content: str):
    remember(tmp_path, KEY, TIMES)
    (path,) = tmp_path.iterdir()
    path.write_text(content)
    assert recall(tmp_path, KEY) is None
    remember(tmp_path, KEY, TIMES)
    assert recall(tmp_path, KEY) == TIMES


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path):
    blocked = tmp_path / "a file"
    blocked.write_text("")
    remember(blocked, KEY, TIMES)
    assert recall(blocked, KEY) is None


def test_cache_folder(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("RTPOLYP_CACHE", raising=False)
    assert cache_folder() == tmp_path / "xdg" / "rtpolyp"
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("RTPOLYP_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "rtpolyp"


def test_this_processor_has_a_name_and_a_core():
    processor = this_processor()
    assert processor.name
    assert processor.cores >= 1
    assert processor == this_processor()
