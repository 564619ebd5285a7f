"""What hostile senders send: noise, drops, playlists, redirects, and ever more streams."""

import itertools
import os
import socket
import struct
import threading
from collections.abc import Iterator

__all__ = ["babble", "drip", "growing", "playlist", "redirect"]

TICK_SECONDS = 0.1
DROP_SECONDS = 0.5
BABBLE = 50_000  # bytes a tick
MORE_STREAMS = 10  # a tick
FIRST_PID, LAST_PID, TABLE_PID = 0x200, 0x1FF0, 0x100
H264, AAC = 0x1B, 0x0F


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
    counts = itertools.count()
    table = _section(0, struct.pack(">HH", 1, 0xE000 | TABLE_PID), 1)
    pids: list[int] = []
    while not over.wait(TICK_SECONDS):
        fresh = [FIRST_PID + (len(pids) + i) % (LAST_PID - FIRST_PID) for i in range(MORE_STREAMS)]
        pids += fresh
        named = b"".join(struct.pack(">BHH", (H264, AAC)[pid % 2], 0xE000 | pid, 0xF000) for pid in fresh)
        streams = _section(2, struct.pack(">HH", 0xE000 | fresh[0], 0xF000) + named, next(counts) % 32)
        pictures = b"".join(_packet(pid, b"\0\0\1\xe0\0\0\x80\0\0" + os.urandom(100)) for pid in fresh)
        yield _packet(0, b"\0" + table) + _packet(TABLE_PID, b"\0" + streams) + pictures


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


def _packet(pid: int, content: bytes) -> bytes:
    """One packet of a transport stream, at the start of a unit, filled up."""
    return struct.pack(">BHB", 0x47, 0x4000 | pid, 0x10) + content[:184].ljust(184, b"\xff")


def _section(table: int, body: bytes, version: int) -> bytes:
    head = struct.pack(">BHHBBB", table, 0xB000 | len(body) + 9, 1, 0xC1 | version << 1, 0, 0)
    return head + body + struct.pack(">I", _crc(head + body))


def _crc(data: bytes) -> int:
    """MPEG's CRC-32."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1 ^ (0x04C11DB7 if register & 1 << 31 else 0)) & 0xFFFFFFFF
    return register
