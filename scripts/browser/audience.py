"""Who watches a page, in a process of their own: what they cost is told apart from what serving costs.

python -m scripts.browser.audience PORT [--seconds 20] [--reading 6] [--stuck 1] [--way webrtc] [--yielding]

Prints JSON: when watching began and ended, the counters that a Chromium painted, the bytes that clients of
the MJPEG stream read, and the processor time of all of them while they watched.
"""

import json
import os
import sys
import time
from typing import Annotated, Literal

import psutil
from cyclopts import App, Parameter

from rtpolyp.terminal.command_line import run_app
from scripts.browser.watch import installed_chromium, painting, readers

app = App(name="python -m scripts.browser.audience", help=__doc__, help_format="plaintext", version_flags=())


@app.default
def main(
    port: int,
    /,
    *,
    seconds: float = 20.0,
    reading: int = 0,
    stuck: int = 0,
    way: Literal["webrtc", "mjpeg"] = "webrtc",
    yielding: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Watch, and say what was seen.

    Parameters
    ----------
    port
        Of the page, on this machine.
    seconds
        For how long, once a picture is there.
    reading
        Clients of the MJPEG stream beside the Chromium that throw away what they read.
    stuck
        Clients of the MJPEG stream that never read.
    way
        How the Chromium gets its picture.
    yielding
        Take only processor time that nobody else wants, as far as one machine can be two.
    """
    if yielding:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with (
        readers(port, reading, stuck) as read,
        painting(installed_chromium(), f"http://127.0.0.1:{port}/", way) as watch,
    ):
        before, used, taken = list(read), processor_seconds(), time.monotonic()
        painted = watch(seconds)
        said = {
            "from": taken,
            "to": time.monotonic(),
            "painted": painted,
            "read_bytes": [now - then for now, then in zip(read, before, strict=True)],
            "processor_seconds": processor_seconds() - used,
        }
    print(json.dumps(said))


def processor_seconds() -> float:
    """Of this process and of those that it started."""
    this = psutil.Process()
    times = [one.cpu_times() for one in (this, *this.children(recursive=True))]
    return float(sum(one.user + one.system for one in times))


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
