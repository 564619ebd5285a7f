"""Window, on a display of its own and without one."""

import os
import subprocess
import sys
import textwrap
import threading

import pytest

from rtpolyp.errors import BackendError
from rtpolyp.video.window import Window
from tests.runtime.clips import make_clip

# Decoding before the window opens is the order that hung when av was imported before cv2.
SHOW = """
    import sys, time
    from rtpolyp.video.source import open_source
    from rtpolyp.video.window import CLOSED, Window
    with open_source(sys.argv[1]) as source:
        frames = list(source)
    with Window("rtpolyp test") as window:
        end, shown = time.monotonic() + 40, 0
        while time.monotonic() < end:
            key = window.show(frames[shown % len(frames)])
            shown += 1
            if shown == 3:
                print("ready", flush=True)
            if key is not None:
                print(key, flush=True)
            if key in ("q", CLOSED):
                print(window.show(frames[0]))
                break
"""


def environment(**changes):
    """This process's environment, on another display or on none."""
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return {name: value for name, value in os.environ.items() if name not in hidden} | changes


@pytest.fixture
def shown(display, tmp_path):
    """A process that shows a clip until the window is closed or q is pressed, and prints each key."""
    command = [sys.executable, "-c", textwrap.dedent(SHOW), str(make_clip(tmp_path / "clip.mp4"))]
    env = environment(DISPLAY=display.name)
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        watchdog = threading.Timer(60, process.kill)  # a window that hangs must fail the test, not hang it
        watchdog.start()
        try:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def test_a_window_opens_after_decoding_and_takes_keys(display, shown):
    seen = []
    for key in ("space", "esc", "q"):
        display.move(40, 80)
        display.press(key)
        seen.append(shown.stdout.readline().strip())
    assert seen == ["space", "esc", "q"]
    out, err = shown.communicate(timeout=20)
    assert (out, shown.returncode) == ("None\n", 0), err


def test_a_window_that_the_user_closed_stays_closed(display, shown):
    display.click_close()
    out, err = shown.communicate(timeout=20)
    assert (out.split(), shown.returncode) == (["closed", "closed"], 0), err


def test_no_display_fails_in_one_line(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BackendError, match=r"no window: there is no display \(DISPLAY is not set\); write a"):
        Window("rtpolyp test")


def test_a_display_that_does_not_answer_fails_and_the_process_lives(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":4321")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    with pytest.raises(
        BackendError, match=r"no window: .*(connect to display :4321|load the Qt platform plugin).*; write"
    ) as caught:
        Window("rtpolyp test")
    assert "\n" not in str(caught.value)
