"""GStreamer's RTSP server, scripts/rtsp_server.py, in a process of its own."""

import os
import subprocess
import threading
from fractions import Fraction
from pathlib import Path
from typing import IO, Self, cast
from urllib.parse import urlsplit

from rtpolyp.errors import InputError

__all__ = ["RtspServer"]

PYTHON = "/usr/bin/python3"  # the only one that finds Debian's GStreamer
SCRIPT = Path(__file__).parents[1] / "rtsp_server.py"


class RtspServer:
    """Publishes an elementary H.264 stream at `address` until the end of the context.

    `arguments` are more of scripts/rtsp_server.py's. Raises InputError where it does not start.
    """

    def __init__(self, clip: Path, rate: Fraction, *arguments: str) -> None:
        # time.monotonic() of each stream's frame 0; one more after all were lost
        self.begun: list[float] = []
        command = [PYTHON, os.fspath(SCRIPT), os.fspath(clip), "--rate", str(rate), *arguments]
        try:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            self._said = cast(IO[str], self._process.stdout)
        except OSError as exc:
            raise InputError(f"{PYTHON}: cannot be run ({exc.strerror}); GStreamer needs it") from exc
        ready = self._said.readline().split()
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()
        if not ready:
            self.close()
            raise InputError(
                "GStreamer's RTSP server does not start: apt-get install gir1.2-gst-rtsp-server-1.0 "
                "python3-gi gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
            )
        self.address = ready[1]

    @property
    def port(self) -> int:
        """Of loopback."""
        return cast(int, urlsplit(self.address).port)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        self._said.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _listen(self) -> None:
        for line in self._said:
            if line.startswith("playing since"):
                self.begun.append(float(line.split()[2]))
