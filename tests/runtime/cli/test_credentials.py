"""What is secret in an address stands nowhere: no output, no child's command line, no message."""

import contextlib
import signal
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.cli.sessions import Session
from tests.runtime.clips import Clip, make_clip
from tests.runtime.tiny_bundle import write_tiny_bundle
from tests.runtime.video.senders import paced

SECRETS = ("n0urse", "hunt3r2", "t0ken")
QUERY = f"stream=1&auth={SECRETS[2]}"
SECONDS = 4.0


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = {"preset": "ultrafast", "g": "10"}
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.ts", Clip(frames=100, options=options))


class Camera:
    """An HTTP sender that gives a picture at first, and then answers with what `evil` says."""

    def __init__(self, clip: Path, evil: bytes) -> None:
        self.stop = threading.Event()
        self._clip, self._evil = clip, evil
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.recv(65536)
            if self.stop.is_set():
                client.sendall(self._evil)
                return
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            for data in paced(self._clip, SECONDS, self.stop):
                client.sendall(data)

    def __enter__(self) -> "Camera":
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def command_lines(session: Session) -> Iterator[bytes]:
    """Of the children; the program's own is the user's."""
    for child in session.children():
        yield Path(f"/proc/{child.pid}/cmdline").read_bytes()


def assert_no_secret(text: bytes, where: object) -> None:
    for secret in SECRETS:
        assert secret.encode() not in text, where


@pytest.mark.parametrize(
    "evil",
    [
        b"HTTP/1.1 302 Found\r\nLocation: http://n0urse:hunt3r2@127.0.0.1:9/x?auth=t0ken\r\n\r\n",
        b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="n0urse"\r\n\r\n',
        b"HTTP/1.1 200 OK\r\n\r\n#EXTM3U\n#EXTINF:1,\nhttp://n0urse:hunt3r2@127.0.0.1:9/t0ken.ts\n",
    ],
    ids=["redirect", "refused", "playlist"],
)
def test_a_live_session_tells_nobody(bundle: Path, clip: Path, tmp_path: Path, evil: bytes):
    outputs = ["-o", "out.mp4", "--record-raw", "raw.mp4", "--json", "out.jsonl", "--log", "events.jsonl"]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        metrics = probe.getsockname()[1]
    more = ["--metrics", f":{metrics}", "--engine", bundle, "--backend", "openvino", "--precision", "fp32"]
    said = tmp_path / "said"
    with Camera(clip, evil) as camera, said.open("wb") as file:
        address = f"http://{SECRETS[0]}:{SECRETS[1]}@127.0.0.1:{camera.port}/live?{QUERY}"
        with Session(tmp_path, [address, *outputs, *more], stdout=file, stderr=file) as session:
            session.wait(lambda: session.events("ai", state="on"))
            lines = list(command_lines(session))
            assert lines
            for line in lines:
                assert_no_secret(line, line)
            with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=30) as reply:
                assert_no_secret(reply.read(), "metrics")
            camera.stop.set()
            session.wait(lambda: session.events("source", signal=False))
            session.seconds_to_end(signal.SIGTERM)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"out.mp4", "raw.mp4", "out.jsonl", "events.jsonl", "said"} <= {path.name for path in written}
    assert b"127.0.0.1" in said.read_bytes()
    for path in written:
        assert_no_secret(path.read_bytes(), path)


@pytest.mark.parametrize("scheme", ["http", "rtsp", "rtmp", "ftp"])
def test_a_source_that_cannot_be_opened_is_named_without(bundle: Path, tmp_path: Path, scheme: str):
    said = tmp_path / "said"
    address = f"{scheme}://{SECRETS[0]}:{SECRETS[1]}@127.0.0.1:9/live?{QUERY}"
    with said.open("wb") as file:
        arguments = [address, "--json", "out.jsonl", "--engine", bundle, "--backend", "openvino"]
        with Session(tmp_path, arguments, stdout=file, stderr=file) as session:
            assert session.process.wait(60) == 2
    assert said.read_bytes().count(b"\n") == 1
    assert_no_secret(said.read_bytes(), said.read_bytes())
