"""A page that is served for tests, and a real browser to look at it."""

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from rtpolyp.web.broadcast import Broadcast
from tests.runtime.clips import frame_of, picture

RATE = 20  # pictures a second
STATE = {
    "pts_seconds": 0.0,
    "repeated": False,
    "ai": {"state": "on", "reason": ""},
    "badges": [],
    "alert": None,
    "age_ms": 10.0,
    "settings": {"threshold": 0.5, "style": "outline", "overlay": True},
    "polyps": [{"track": 3, "confidence": 0.9, "area": 0.05, "box": [10, 10, 20, 20]}],
}


class Served:
    """A Broadcast that is fed with pictures whose first squares count them."""

    def __init__(self, address: str, info: dict[str, str] | None = None) -> None:
        self.broadcast = Broadcast(address, info or {"source": "clip.mp4"})
        self._clients = contextlib.ExitStack()
        self.slowest = 0.0  # seconds of one `show`
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.broadcast.address.port}"

    def client(self, **headers: str) -> httpx.Client:
        sent = {"Origin": self.url} | headers
        client = httpx.Client(base_url=self.url, headers=sent, timeout=20, trust_env=False)
        return self._clients.enter_context(client)

    def changes(self, seconds: float = 10.0) -> Iterator[dict]:
        """Changes of settings as they come."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if (change := self.broadcast.change()) is not None:
                yield change
            time.sleep(0.01)

    def close(self) -> None:
        self._stop.set()
        self._clients.close()
        self._thread.join()
        self.broadcast.close()

    def _feed(self) -> None:
        for index in itertools.count():
            if self._stop.wait(1 / RATE):
                return
            frame = frame_of(picture(index % 1000, (320, 256)), index=index)
            begun = time.monotonic()
            object.__setattr__(frame, "captured_at", begun)
            self.broadcast.show(frame, STATE | {"pts_seconds": index / RATE})
            self.slowest = max(self.slowest, time.monotonic() - begun)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """At a loopback address."""
    with contextlib.closing(Served("127.0.0.1:0")) as served:
        yield served
