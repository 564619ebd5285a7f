"""A live session in a real window, on a virtual display: each key has its effect."""

import json
import os
import subprocess
import sys
import time

import pytest

from tests.runtime.live.rehearsal import played
from tests.runtime.red_disc import disc_clip
from tests.runtime.tiny_bundle import write_tiny_bundle

START_SECONDS = 90.0  # for what takes two seconds on a quiet machine
END_SECONDS = 20.0  # of the whole program, on a busy one


@pytest.fixture
def session(display, tmp_path, tmp_path_factory):
    """A process that plays a clip in a window and writes into tmp_path, once that has begun."""
    bundle = write_tiny_bundle(tmp_path / "tiny")
    clip = disc_clip(tmp_path / "disc.mp4", frames=900, rate=10, size=(320, 256))
    command = [sys.executable, "-m", "rtpolyp", "run", str(clip), "--latest", "--display", "-o", "out.mp4"]
    command += ["--snapshots", "snapshots", "--log", "log.jsonl"]
    command += ["--engine", str(bundle), "--precision", "fp32"]
    hidden = ("WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {"DISPLAY": display.name, "RTPOLYP_CACHE": str(tmp_path_factory.getbasetemp() / "cache")}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            recording = tmp_path / "out.mp4"
            wait_for(lambda: recording.exists() and recording.stat().st_size > 20_000, process)
            display.move(40, 80)
            yield process
        finally:
            process.kill()


def wait_for(condition, process):
    """Its first value that is true; fails when the program ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not (found := condition()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_every_key_has_its_effect_and_q_ends_it(display, session, tmp_path):
    def chosen():
        """Threshold, style, overlay and mute at the start and after each change."""
        lines = (tmp_path / "log.jsonl").read_text().splitlines()
        told = [line for line in map(json.loads, lines) if line["event"] == "settings"]
        return [(line["threshold"], line["style"], line["overlay"], line["muted"]) for line in told]

    def snapshot_has(*badges):
        """Take one more; whether the newest that is written has these badges."""
        time.sleep(0.5)  # of two keys within one picture's time OpenCV tells the last one only
        display.press("s")
        time.sleep(0.5)
        written = sorted((tmp_path / "snapshots").glob("*/snapshot.json"))
        return bool(written) and set(badges) <= set(json.loads(written[-1].read_text())["badges"])

    ((threshold, *_),) = chosen()
    for number, key in enumerate("+-oym", 2):
        display.press(key)
        wait_for(lambda number=number: len(chosen()) == number, session)
    assert chosen()[1:] == [
        (pytest.approx(threshold + 0.05), "outline", True, False),
        (pytest.approx(threshold), "outline", True, False),
        (pytest.approx(threshold), "outline", False, False),
        (pytest.approx(threshold), "fill", False, False),
        (pytest.approx(threshold), "fill", False, True),
    ]
    wait_for(lambda: snapshot_has("OVERLAY OFF", "MUTED"), session)
    assert not snapshot_has("FROZEN")
    display.press("space")
    wait_for(lambda: snapshot_has("OVERLAY OFF", "MUTED", "FROZEN"), session)
    display.press("q")
    said, errors = session.communicate(timeout=END_SECONDS)
    assert session.returncode == 0, errors
    assert "space freeze" in said
    assert "frames shown in" in said
    assert len(played(tmp_path / "out.mp4")) > 5
