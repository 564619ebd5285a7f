"""Injected faults: the picture goes on, the badge says why, the recording plays to its end."""

import resource
import time

import pytest

from rtpolyp.inference.isolated.engine import IsolatedEngine
from rtpolyp.video import outputs
from tests.runtime.faulty_engine import Faulty
from tests.runtime.live.rehearsal import INTERVAL, LARGEST_GAP, RATE, Watcher, gaps, played, rehearse
from tests.runtime.live.scripted import Pause, Scripted
from tests.runtime.red_disc import SPEC
from tests.runtime.stub_engine import StubEngine

DEADLINE_SECONDS = 1.0
FAULT_AT = 5  # the request; request 0 warms the engine up
LAST_SECOND = 1.0  # what a recording may lack of the session's end

FAULTS = {
    "raise": "engine error",
    "shape": "engine error",
    "hang": "engine restarting (no answer)",
    "out of memory": "engine error",
    "SIGSEGV": "engine restarting (SIGSEGV)",
    "SIGKILL": "engine restarting (SIGKILL)",
}


class Plain(StubEngine):
    """In this process, where only the picture plane matters."""

    restarts = 0


def recovered(watcher):
    """On, off, and on again for a second."""
    states = watcher.states()
    return (
        "off" in states
        and states[-1] == "on"
        and time.monotonic() - watcher.events("ai")[-1]["monotonic"] > 1
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_an_engine_that_fails_costs_outlines_and_nothing_else(fault, tmp_path, caplog):
    # An error is over with the next result, which on a busy machine comes before anybody has looked.
    times = 3 if FAULTS[fault] == "engine error" else 1
    recipe = Faulty(SPEC, tmp_path / "starts", fault, at=tuple(range(FAULT_AT, FAULT_AT + times)))
    engine = IsolatedEngine(recipe, deadline_seconds=DEADLINE_SECONDS)
    watcher, summary = rehearse(Scripted(60, rate=RATE), engine, tmp_path, Watcher(recovered))
    assert max(watcher.gaps) <= LARGEST_GAP
    states = [state for state in watcher.states() if state != "starting"]
    assert (states[:2], states[-1]) == (["on", "off"], "on")
    reasons = [event["reason"] for event in watcher.events("ai")]
    if FAULTS[fault] == "engine error":
        assert "inference failed" in caplog.text or "the engine answered" in caplog.text
        # On a busy machine the badge is off before the error comes, and on again before it is looked at.
        assert {FAULTS[fault], "no result in time"} & set(reasons)
    else:
        assert FAULTS[fault] in reasons
    assert summary.errors == ()
    pts = played(tmp_path / "out.mp4")
    assert pts[-1] - pts[0] >= watcher.times[-1] - watcher.times[0] - LAST_SECOND
    assert max(gaps(pts)) <= LARGEST_GAP


def test_a_decoder_that_stalls_keeps_the_last_picture(tmp_path):
    source = Scripted(4, rate=RATE, pauses=[Pause(1.5, 1.0)])
    watcher, summary = rehearse(source, Plain(SPEC), tmp_path)
    assert max(watcher.gaps) <= LARGEST_GAP
    assert len(source.delivered) == pytest.approx(3 * RATE, abs=1)
    assert len(watcher.times) >= len(source.delivered) + 1.0 / LARGEST_GAP
    assert "off" not in watcher.states()  # the AI is not to blame
    assert summary.errors == ()


def test_a_camera_that_vanishes_and_returns(tmp_path):
    source = Scripted(5, rate=RATE, pauses=[Pause(1.5, 2.0, "No such device")])
    watcher, _ = rehearse(source, Plain(SPEC), tmp_path)
    assert max(watcher.gaps) <= LARGEST_GAP
    lost, back = watcher.events("source")
    assert (lost["signal"], lost["reason"], back["signal"]) == (False, "No such device", True)
    assert back["monotonic"] - lost["monotonic"] == pytest.approx(2.0, abs=3 * INTERVAL)
    assert "off" not in watcher.states()
    pts = played(tmp_path / "out.mp4")  # holds the outage, and is as long as what was seen
    assert pts[-1] - pts[0] == pytest.approx(watcher.times[-1] - watcher.times[0], abs=2 * INTERVAL)
    assert max(gaps(pts)) <= LARGEST_GAP + INTERVAL


def test_a_full_disk_ends_the_recording_alone(tmp_path):
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        watcher, summary = rehearse(Scripted(5, rate=RATE), Plain(SPEC), tmp_path, json=None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert max(watcher.gaps) <= LARGEST_GAP
    (failed,) = watcher.events("recording failed")
    assert summary.errors == (failed["error"],)
    assert "out.mp4: cannot be written (File too large)" in str(failed["error"])
    kept = played(tmp_path / "out.mp4")
    until = failed["monotonic"] - watcher.times[0]
    assert kept[-1] - kept[0] >= until - 1 - LARGEST_GAP  # the fragment that failed, and one half filled


class RaisingSink:
    """A bug in a sink."""

    def __init__(self, *arguments, **options):
        pass

    def write(self, frame, segmentation):
        raise ZeroDivisionError

    def close(self):
        pass


def test_a_sink_with_a_bug_ends_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "VideoSink", RaisingSink)
    watcher, summary = rehearse(Scripted(2, rate=RATE), Plain(SPEC), tmp_path)
    assert max(watcher.gaps) <= LARGEST_GAP
    assert "ZeroDivisionError" in str(summary.errors[0])
    assert len(watcher.times) >= 2 * RATE - 1


def test_a_display_that_hangs_costs_the_recording_nothing(tmp_path):
    watcher, _ = rehearse(Scripted(4, rate=RATE), Plain(SPEC), tmp_path, Watcher(block=(5, 1.5)))
    assert max(watcher.gaps) >= 1.5
    pts = played(tmp_path / "out.mp4")
    assert max(gaps(pts)) <= LARGEST_GAP


def test_a_disk_that_hangs_costs_the_picture_nothing(tmp_path, monkeypatch):
    class Hanging(RaisingSink):
        def write(self, frame, segmentation):
            time.sleep(30)

    monkeypatch.setattr(outputs, "VideoSink", Hanging)
    begun = time.monotonic()
    watcher, summary = rehearse(Scripted(3, rate=RATE), Plain(SPEC), tmp_path)
    assert max(watcher.gaps) <= LARGEST_GAP
    assert time.monotonic() - begun < 3 + 2 + 1  # stream, promised end, start on a busy machine
    assert "not finished" in str(summary.errors[0])
