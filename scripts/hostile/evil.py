"""What hostile senders send: noise, drops, playlists, redirects, ever more streams, and huge pictures."""

import itertools
import os
import socket
import threading
from collections.abc import Iterator

from scripts.hostile.transport import AAC, FIRST_PID, H264, Multiplexer, huge_picture

__all__ = ["babble", "drip", "growing", "huge", "playlist", "redirect"]

TICK_SECONDS = 0.1
DROP_SECONDS = 0.5
BABBLE = 50_000  # bytes a tick
MORE_STREAMS = 10  # a tick
LAST_PID = 0xFF0
HUGE = (16_000, 16_000)
MOST_HUGE = 60  # streams


def babble(over: threading.Event) -> Iterator[bytes]:
    """Noise."""
    while not over.wait(TICK_SECONDS):
        yield os.urandom(BABBLE)


def drip(over: threading.Event) -> Iterator[bytes]:
    """Two bytes a second."""
    while not over.wait(DROP_SECONDS):
        yield b"G"


def growing(over: threading.Event) -> Iterator[bytes]:
    """A transport stream whose table names more streams each tenth of a second, all with some content."""
    stream, begun = Multiplexer(), FIRST_PID
    for tick in itertools.count():
        if over.wait(TICK_SECONDS):
            return
        fresh = [FIRST_PID + (begun + number) % (LAST_PID - FIRST_PID) for number in range(MORE_STREAMS)]
        begun += MORE_STREAMS
        named = stream.tables((pid, (H264, AAC)[pid % 2]) for pid in fresh)
        yield named + b"".join(stream.unit(pid, os.urandom(100), tick * TICK_SECONDS) for pid in fresh)


def huge(over: threading.Event) -> Iterator[bytes]:
    """The stream goes on with pictures of 256 megapixels, and more streams of such ones come."""
    stream, picture, pids = Multiplexer(), huge_picture(*HUGE), [FIRST_PID]
    for tick in itertools.count():
        if over.wait(TICK_SECONDS):
            return
        yield stream.tables((pid, H264) for pid in pids) + b"".join(
            stream.unit(pid, picture, tick * TICK_SECONDS) for pid in pids
        )
        if len(pids) < MOST_HUGE:
            pids += range(pids[-1] + 1, pids[-1] + 1 + MORE_STREAMS)


def redirect(client: socket.socket, protocol: str, port: int) -> None:
    """To another port, by HTTP or RTSP."""
    while request := client.recv(65536):
        number = request.partition(b"CSeq: ")[2].partition(b"\r")[0].decode() or "0"
        status = "200 OK" if request.startswith(b"OPTIONS") else "302 Found"
        place = f"{protocol[:4].lower()}://127.0.0.1:{port}/a"
        client.sendall(f"{protocol} {status}\r\nCSeq: {number}\r\nLocation: {place}\r\n\r\n".encode())
        if protocol.startswith("HTTP"):
            return


def playlist(port: int) -> bytes:
    """Of a file and of a part on another port."""
    parts = f"#EXTINF:1,\nfile:///etc/hostname\n#EXTINF:1,\nhttp://127.0.0.1:{port}/a.ts\n"
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n{parts}".encode()
