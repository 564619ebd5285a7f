"""Senders of live streams on loopback, for tests of sources: HTTP, TCP, UDP, RTSP."""

import base64
import contextlib
import socket
import threading
from collections.abc import Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rtpolyp.errors import InputError
from scripts.live.server import RtspServer
from tests.runtime.clips import Clip, make_clip

__all__ = ["http_sender", "http_url", "rtsp_sender", "tcp_sender", "udp_sender"]

TICK_SECONDS = 0.04
DATAGRAM = 7 * 188  # bytes: seven packets of a transport stream


def paced(clip: Path, seconds: float, stop: threading.Event) -> Iterator[bytes]:
    """A transport stream of `seconds` at its own pace, again and again until `stop`."""
    data = clip.read_bytes()
    step = -(-int(len(data) * TICK_SECONDS / seconds) // 188) * 188
    while True:
        for start in range(0, len(data), step):
            if stop.wait(TICK_SECONDS):
                return
            yield data[start : start + step]


@contextlib.contextmanager
def http_sender(clip: Path, seconds: float, user: str = "", length: bool = False) -> Iterator[int]:
    """Serve `clip` on the port that it yields, live or by its length as a file; `user` is NAME:PASSWORD."""
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = "Basic " + base64.b64encode(user.encode()).decode()
            if user and self.headers["Authorization"] != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="test"')
                self.end_headers()
                return
            self.send_response(200)
            if length:
                self.send_header("Content-Length", str(clip.stat().st_size))
            self.end_headers()
            with contextlib.suppress(OSError):
                for chunk in [clip.read_bytes()] if length else paced(clip, seconds, stop):
                    self.wfile.write(chunk)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


def http_url(port: int, user: str = "") -> str:
    return f"http://{user}{'@' if user else ''}127.0.0.1:{port}/live.ts"


@contextlib.contextmanager
def tcp_sender(clip: Path, seconds: float, stop: threading.Event | None = None) -> Iterator[int]:
    """Send `clip` to each client that connects to the port that it yields; set `stop` to fall silent."""
    over, silent = threading.Event(), stop or threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=send, args=(client,), daemon=True).start()

    def send(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            for chunk in paced(clip, seconds, silent):
                client.sendall(chunk)
            over.wait()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        silent.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@contextlib.contextmanager
def udp_sender(clip: Path, seconds: float) -> Iterator[int]:
    """Send `clip` to the port that it yields."""
    stop = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for chunk in paced(clip, seconds, stop):
                for start in range(0, len(chunk), DATAGRAM):
                    with contextlib.suppress(OSError):
                        out.sendto(chunk[start : start + DATAGRAM], ("127.0.0.1", port))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield port
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def rtsp_sender(folder: Path, *arguments: str) -> Iterator[RtspServer]:
    """Publish a clip of 3 s by GStreamer; skips without it."""
    options = {"preset": "ultrafast", "tune": "zerolatency", "g": "15"}
    clip = make_clip(folder / "published.h264", Clip(frames=75, options=options))
    try:
        server = RtspServer(clip, Fraction(25), *arguments)
    except InputError as exc:
        pytest.skip(str(exc))
    with server:
        yield server
