"""HTTP requests of our own come to an end, however slowly the other side answers."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from rtpolyp.video.access import http
from rtpolyp.video.access.hosts import Hosts
from rtpolyp.video.access.http import fetch, redirected_http


@contextlib.contextmanager
def dripping(greeting: bytes, drop: bytes) -> Iterator[str]:
    """Answers `greeting`, and then `drop` twenty times a second."""
    over, listener = threading.Event(), socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            with client:
                client.sendall(greeting)
                while not over.wait(0.05):
                    client.sendall(drop)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/list.m3u8"
    finally:
        over.set()
        listener.close()
        thread.join()


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 200 OK\r\nA: "])
def test_a_header_that_never_ends(monkeypatch: pytest.MonkeyPatch, greeting: bytes):
    monkeypatch.setattr(http, "HEADER_SECONDS", 0.5)
    with dripping(greeting, b"A") as address:
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            redirected_http(address, Hosts(), timeout=30.0)
        assert time.monotonic() - begun < 5.0


def test_a_body_that_never_ends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http, "BODY_SECONDS", 0.5)
    with dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"A") as address:
        reply, begun = fetch(address, Hosts(), timeout=30.0, limit=1000), time.monotonic()
        with pytest.raises(TimeoutError):
            list(iter(lambda: reply.read(1000), b""))
        assert time.monotonic() - begun < 5.0
        reply.close()
