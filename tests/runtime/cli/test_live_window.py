"""A live session in a real window, on a virtual display."""

import os
import subprocess
import sys
import time

from tests.runtime.live.rehearsal import played
from tests.runtime.red_disc import disc_clip
from tests.runtime.tiny_bundle import write_tiny_bundle

START_SECONDS = 90.0  # for what takes two seconds on a quiet machine
END_SECONDS = 20.0  # of the whole program, on a busy one


def test_keys_reach_the_session_and_q_ends_it(display, tmp_path, tmp_path_factory):
    bundle = write_tiny_bundle(tmp_path / "tiny")
    clip = disc_clip(tmp_path / "disc.mp4", frames=900, rate=10, size=(320, 256))
    command = [sys.executable, "-m", "rtpolyp", "run", str(clip), "--latest", "--display", "-o", "out.mp4"]
    command += ["--snapshots", "snapshots", "--engine", str(bundle), "--precision", "fp32"]
    hidden = ("WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {"DISPLAY": display.name, "RTPOLYP_CACHE": str(tmp_path_factory.getbasetemp() / "cache")}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not ((tmp_path / "out.mp4").exists() and (tmp_path / "out.mp4").stat().st_size > 20_000):
                assert time.monotonic() < deadline
                assert process.poll() is None, process.communicate()
                time.sleep(0.05)
            display.move(40, 80)
            display.press("s")
            while not list((tmp_path / "snapshots").glob("*/snapshot.json")):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            display.press("q")
            said, errors = process.communicate(timeout=END_SECONDS)
        finally:
            process.kill()
    assert process.returncode == 0, errors
    assert "space freeze" in said
    assert "frames shown in" in said
    assert len(played(tmp_path / "out.mp4")) > 5
