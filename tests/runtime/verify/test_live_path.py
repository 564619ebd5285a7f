"""The live path: the counters reach the display, and their delay is that of what was done to the picture."""

import json
import time
from fractions import Fraction
from pathlib import Path

import pytest

from rtpolyp.settings import Settings
from rtpolyp.verify import faults, live_path
from rtpolyp.verify.figure import Figure
from rtpolyp.verify.live_path import check_faults, check_live
from tests.runtime.clips import Clip, make_clip
from tests.runtime.live.rehearsal import Plain
from tests.runtime.red_disc import SPEC
from tests.runtime.verify.test_recording import SIZE, counted

RATE = Fraction(10)  # a busy machine is late by a fraction of an interval
FRAMES = 20
SETTINGS = Settings(threshold=0.5, minimum_area=0.001, minimum_confidence=0.0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    traits = Clip(size=SIZE, frames=FRAMES, rate=RATE, options={"tune": "zerolatency", "crf": "12"})
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", traits, counted)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr(live_path, "open_live_engine", lambda recipe: recipe)
    monkeypatch.setattr(Plain, "recipe", None, raising=False)  # so it has no ladder


def live(clip: Path, folder: Path) -> dict[str, Figure]:
    figures = check_live(clip, folder, Plain(SPEC), SETTINGS, counted=True)
    return {one.name: one for one in figures}


def test_the_live_path_shows_and_records_every_frame(clip: Path, tmp_path: Path):
    figures = live(clip, tmp_path)
    assert figures["not_shown"].value <= FRAMES // 2  # a busy machine drops what it has no time for
    assert 0 < figures["picture_delay:median"].value < 1000 / RATE
    assert figures["display_gap"].limit == 200
    assert 0 < figures["mark_age:median"].value < 2000 / RATE
    assert figures["recorded_time"].value < 1


def test_a_display_two_frames_late_is_found(clip: Path, tmp_path: Path, monkeypatch):
    """What is shown is held back for two frame intervals, with every picture on its way."""
    late = 2 / float(RATE)
    show = live_path._Eye.show
    monkeypatch.setattr(live_path._Eye, "show", lambda eye, frame: (time.sleep(late), show(eye, frame))[1])
    figures = live(clip, tmp_path)
    assert figures["picture_delay:median"].value >= 1000 * late
    assert figures["not_shown"].value >= FRAMES // 4


def test_a_camera_that_vanishes_is_timed(clip: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(live_path, "FAULTS", ("camera unplugged and back",))
    for module in (live_path, faults):
        monkeypatch.setattr(module, "FAULT_SECONDS", 0.6)
    monkeypatch.setattr(faults, "STALL_SECONDS", 0.5)
    gap, outage = check_faults(clip, tmp_path, Plain(SPEC), SETTINGS)
    assert gap.limit == 200
    assert gap.value > 0
    assert outage.title.endswith("camera unplugged and back")
    assert 0.2 < outage.value < 1.2


@pytest.mark.parametrize(
    ("events", "value", "passed"),
    [
        ([("ai", 1, "starting"), ("ai", 1.5, "on")], 0.0, None),
        ([("ai", 1, "on"), ("ai", 4.2, "off"), ("ai", 6.7, "on")], 2.5, None),
        ([("ai", 1, "on"), ("source", 4.0, False), ("source", 6.0, True)], 2.0, None),
        ([("ai", 1, "on"), ("ai", 4.2, "off")], None, False),
    ],
)
def test_an_outage_lasts_until_all_is_back(events, value, passed, tmp_path: Path):
    lines = [{"event": "start", "monotonic": 0.0}]
    for name, at, state in events:
        lines.append({"event": name, "monotonic": at, "signal" if name == "source" else "state": state})
    (tmp_path / "log").write_text("\n".join(map(json.dumps, lines)) + "\n")
    found = live_path._outage("engine raises", tmp_path / "log")
    assert found.value == pytest.approx(value) if value is not None else found.value is None
    assert found.passed is passed
