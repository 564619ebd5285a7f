"""HostileServer: a good picture until it is told to turn, and from then on one kind of evil."""

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

from scripts.hostile.evil import babble, drip, growing, huge, playlist, redirect
from scripts.hostile.good import (
    DATAGRAM,
    TS_PACKET,
    free_port,
    send_http,
    send_part,
    send_rtsp,
)
from scripts.hostile.rtmp import flv_tags, send_rtmp

__all__ = ["KINDS", "HostileServer"]

TICK_SECONDS = 0.1
FLAP_SECONDS = 1.0
KINDS = {
    "tcp": ("silent", "slow", "babbling", "flapping", "playlist", "growing", "huge"),
    "http": ("silent", "slow", "babbling", "flapping", "playlist", "redirect"),
    "hls": ("silent", "slow", "babbling", "playlist", "endless list", "lost parts", "redirect"),
    "rtsp": ("silent", "slow", "babbling", "flapping", "redirect"),
    "rtmp": ("silent", "slow", "babbling"),
    "udp": ("silent", "slow", "babbling", "growing", "huge"),
}
PATHS = {"http": "/live.ts", "hls": "/live.m3u8", "rtsp": "/a", "rtmp": "/a/b"}
GREETINGS = {  # of a slow answer
    "http": b"HTTP/1.1 200 OK\r\nX: ",
    "hls": b"HTTP/1.1 200 OK\r\nX: ",
    "rtsp": b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nX: ",
    "rtmp": b"\x03",
}
LIST = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n"


class HostileServer:
    """Serves `clip`, a transport stream of `seconds`, by `protocol`; evil is of `kind`. A context manager.

    `canary` is a port of loopback to which redirects and playlists lead.
    """

    def __init__(self, protocol: str, kind: str, clip: Path, seconds: float, canary: int) -> None:
        self.connections = 0
        self._protocol, self._kind, self._canary = protocol, kind, canary
        self._data, self._seconds = clip.read_bytes(), seconds
        self._turned, self._over = threading.Event(), threading.Event()
        self._listener: socket.socket | None = None
        self.port = free_port()
        if protocol == "udp":
            self._start(self._send_datagrams)
            return
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._tags = flv_tags(clip) if protocol == "rtmp" else []
        self._start(self._accept)

    @property
    def address(self) -> str:
        """To open."""
        scheme = "http" if self._protocol == "hls" else self._protocol
        return f"{scheme}://127.0.0.1:{self.port}{PATHS.get(self._protocol, '')}"

    def turn(self) -> None:
        """Begin to be evil: whoever is connected is cut off."""
        self._turned.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._turned.set()
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def _start(self, function: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=function, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        assert self._listener is not None
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                self._start(self._talk, client)

    def _talk(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, ValueError, IndexError):
            if not self._turned.is_set():
                self._be_good(client)
            elif self._kind == "flapping":
                self._send(client, self._paced(FLAP_SECONDS))
            elif self._kind == "silent":
                self._over.wait()
            elif self._kind == "redirect":
                redirect(client, "RTSP/1.0" if self._protocol == "rtsp" else "HTTP/1.1", self._canary)
            elif self._protocol == "hls":
                self._be_evil_by_list(client)
            else:
                self._be_evil(client)

    def _paced(self, seconds: float | None = None) -> Iterator[bytes]:
        """The stream at its own pace, for some seconds or until the turn."""
        step = -(-int(len(self._data) * TICK_SECONDS / self._seconds) // TS_PACKET) * TS_PACKET
        begun = time.monotonic()
        for start in itertools.cycle(range(0, len(self._data), step)):
            at_end = self._turned.is_set() if seconds is None else time.monotonic() - begun > seconds
            if at_end or self._over.wait(TICK_SECONDS):
                return
            yield self._data[start : start + step]

    def _be_good(self, client: socket.socket) -> None:
        if self._protocol == "hls":
            send_part(client, self._data)
        elif self._protocol == "rtmp":
            send_rtmp(client, self._tags, self._turned)
        else:
            self._send(client, self._paced())

    def _send(self, client: socket.socket, stream: Iterator[bytes]) -> None:
        if self._protocol == "http":
            send_http(client, stream)
        elif self._protocol == "rtsp":
            send_rtsp(client, stream)
        else:
            for data in stream:
                client.sendall(data)

    def _be_evil(self, client: socket.socket) -> None:
        if self._kind == "slow":
            client.sendall(GREETINGS.get(self._protocol, b"G"))
            for drop in drip(self._over):
                client.sendall(drop)
        elif self._kind == "playlist":
            self._send(client, iter([playlist(self._canary)]))
        else:
            self._send(client, self._endless())

    def _endless(self) -> Iterator[bytes]:
        """What comes without end, of a kind that is no more than that."""
        kinds = {"slow": drip, "babbling": babble, "growing": growing, "huge": huge}
        return kinds[self._kind](self._over) if self._kind in kinds else iter(())

    def _be_evil_by_list(self, client: socket.socket) -> None:
        path = client.recv(65536).split()[1]
        if self._kind == "slow":
            client.sendall(GREETINGS["hls"])
        elif self._kind == "lost parts" and not path.endswith(b".m3u8"):
            client.sendall(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
            return
        else:
            client.sendall(LIST)
        number = int(time.monotonic())
        parts = "".join(f"#EXTINF:1,\n{number + i}.ts\n" for i in range(5))
        head = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{number}\n"
        streams: dict[str, Iterable[bytes]] = {
            "slow": drip(self._over),
            "babbling": babble(self._over),
            "playlist": [playlist(self._canary)],
            "lost parts": [f"{head}{parts}".encode()],
            "endless list": itertools.chain([head.encode()], itertools.repeat(parts.encode() * 100)),
        }
        for data in streams[self._kind]:
            client.sendall(data)
            if self._over.is_set():
                return

    def _send_datagrams(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for data in itertools.chain(self._paced(), self._endless()):
                for start in range(0, len(data), DATAGRAM):
                    with contextlib.suppress(OSError):
                        out.sendto(data[start : start + DATAGRAM], ("127.0.0.1", self.port))
