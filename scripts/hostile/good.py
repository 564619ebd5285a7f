"""A good picture by every protocol, to a client that a hostile sender has on its line."""

import socket
import struct
import time
from collections.abc import Iterable

__all__ = ["DATAGRAM", "TS_PACKET", "free_port", "send_http", "send_part", "send_rtsp"]

TS_PACKET = 188  # bytes
DATAGRAM = 7 * TS_PACKET
PART_SECONDS = 2
SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 33\r\na=control:0\r\n"
)
LIVE_LIST = "#EXTM3U\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{}\n"


def free_port() -> int:
    """Of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def send_http(client: socket.socket, stream: Iterable[bytes]) -> None:
    """Answer a request by a body without end."""
    client.recv(65536)
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
    for data in stream:
        client.sendall(data)


def send_part(client: socket.socket, clip: bytes) -> None:
    """Answer a request for a live playlist, or for one of its parts, each of which is the whole clip."""
    path = client.recv(65536).split()[1]
    number = int(time.monotonic() / PART_SECONDS)
    body = clip
    if path.endswith(b".m3u8"):
        parts = "".join(f"#EXTINF:{PART_SECONDS},\npart{number + i}.ts\n" for i in range(3))
        body = (LIVE_LIST.format(PART_SECONDS, number) + parts).encode()
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def send_rtsp(client: socket.socket, stream: Iterable[bytes]) -> None:
    """Answer up to PLAY, and send the transport stream in RTP on the same connection."""
    method = b""
    while method != b"PLAY":
        request = client.recv(65536)
        method, number = request.split()[0], request.partition(b"CSeq: ")[2].split()[0].decode()
        body, fields = "", "Session: 1\r\n"
        if method == b"DESCRIBE":
            body, fields = SDP, f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n"
        if method == b"SETUP":
            fields += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        client.sendall(f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{fields}\r\n{body}".encode())
    sequence = 0
    for data in stream:
        for start in range(0, len(data), DATAGRAM):
            part, sequence = data[start : start + DATAGRAM], (sequence + 1) % 65536
            clock = int(time.monotonic() * 90_000) % 2**32
            header = struct.pack(">BBHII", 0x80, 33, sequence, clock, 1)
            client.sendall(struct.pack(">cBH", b"$", 0, len(header + part)) + header + part)
