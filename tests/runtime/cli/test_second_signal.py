"""A second signal ends a program at once, whatever it is held up by."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.runtime.cli.sessions import END_SECONDS, SLACK_SECONDS

LIMIT = END_SECONDS + SLACK_SECONDS


def test_a_second_signal_ends_it_at_once(tmp_path: Path):
    """A main thread in a call that never returns: nothing but the guard is there."""
    script = """
import ctypes, signal
from rtpolyp.terminal.command_line import _interrupt
from rtpolyp.terminal.timely_exit import end_in_time
signal.signal(signal.SIGTERM, _interrupt)
end_in_time()
print("ready", flush=True)
mutex = ctypes.create_string_buffer(64)
for _ in range(2):
    ctypes.CDLL(None).pthread_mutex_lock(mutex)
"""
    for pause, least, most in ((0.6, 0.0, 0.5), (0.05, 1.0, LIMIT)):  # the second is one signal, sent twice
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.5)  # into the lock
            process.send_signal(signal.SIGTERM)
            time.sleep(pause)
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 130
            assert least <= time.monotonic() - begun < most
