"""As little of an RTMP server as libav needs to play a stream from it."""

import io
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import av

__all__ = ["flv_tags", "send_rtmp"]

HANDSHAKE = 1536  # bytes
CHUNK = 0x10000
SET_CHUNK, COMMAND = 1, 20  # types of messages
NULL, END = b"\x05", b"\x00\x00\x09"  # of AMF


def flv_tags(clip: Path) -> list[tuple[int, int, bytes]]:
    """Type, milliseconds and content of what an FLV file of `clip` holds."""
    file = io.BytesIO()
    with av.open(str(clip)) as source, av.open(file, "w", format="flv") as out:
        video = source.streams.video[0]
        copy = out.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.dts is not None:
                packet.stream = copy
                out.mux(packet)
    data, start, tags = file.getvalue(), 13, []
    while start + 11 <= len(data):
        kind, size = data[start], int.from_bytes(data[start + 1 : start + 4], "big")
        time_ms = int.from_bytes(data[start + 4 : start + 7], "big")
        tags.append((kind, time_ms, data[start + 11 : start + 11 + size]))
        start += 11 + size + 4
    return tags


def send_rtmp(client: socket.socket, tags: list[tuple[int, int, bytes]], until: Event) -> None:
    """Shake hands, answer up to `play`, and send `tags` at their pace, once."""
    client.sendall(b"\x03" + bytes(HANDSHAKE) + os.urandom(HANDSHAKE))
    received = b""
    answers: Iterator[tuple[bytes, bytes]] = iter(
        [
            (b"connect", _text("_result") + _number(1) + NULL + NULL),
            (b"createStream", _text("_result") + _number(2) + NULL + _number(1)),
            (b"play", _text("onStatus") + _number(0) + NULL + _status("NetStream.Play.Start")),
        ]
    )
    client.sendall(_message(SET_CHUNK, 0, struct.pack(">I", CHUNK)))
    for command, answer in answers:
        while _text(command.decode()) not in received:
            data = client.recv(65536)
            if not data:
                return
            received += data
        client.sendall(_message(COMMAND, 0, answer))
    begun = time.monotonic()
    for kind, time_ms, content in tags:
        if until.wait(max(0.0, begun + time_ms / 1000 - time.monotonic())):
            return
        client.sendall(_message(kind, time_ms, content))
    until.wait()


def _message(kind: int, time_ms: int, content: bytes) -> bytes:
    head = (
        b"\x04" + time_ms.to_bytes(3, "big") + len(content).to_bytes(3, "big") + bytes([kind]) + b"\1\0\0\0"
    )
    size = 128 if kind == SET_CHUNK else CHUNK
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    return head + b"\xc4".join(parts)


def _text(text: str) -> bytes:
    return b"\x02" + len(text).to_bytes(2, "big") + text.encode()


def _number(number: float) -> bytes:
    return struct.pack(">cd", b"\0", number)


def _status(code: str) -> bytes:
    fields = (("level", "status"), ("code", code))
    return b"\x03" + b"".join(_text(name)[1:] + _text(value) for name, value in fields) + END
