"""An MPEG transport stream made by hand: packets, tables, and H.264 of any size in a few bytes."""

import struct
from collections.abc import Iterable

__all__ = ["H264", "Multiplexer", "huge_picture"]

PROGRAM_PID, PACKET, ROOM = 0x1000, 188, 184
FIRST_PID = 0x100  # as libav gives them
AAC, H264 = 0x0F, 0x1B
MACROBLOCK = 16  # pixels
CLOCK = 90_000


class Multiplexer:
    """Packets of one program, whose streams may become more at any time."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}  # packets of a PID so far
        self._version = 0

    def tables(self, streams: Iterable[tuple[int, int]]) -> bytes:
        """The tables that name `streams`, each a PID and a type; a new version of them each time."""
        listed = list(streams)
        named = b"".join(struct.pack(">BHH", kind, 0xE000 | pid, 0xF000) for pid, kind in listed)
        program = struct.pack(">HH", 0xE000 | listed[0][0], 0xF000) + named
        version, self._version = self._version, (self._version + 1) % 32
        return self._packets(0, b"\0" + _section(0, struct.pack(">HH", 1, 0xE000 | PROGRAM_PID), 1)) + (
            self._packets(PROGRAM_PID, b"\0" + _section(2, program, version))
        )

    def unit(self, pid: int, data: bytes, seconds: float) -> bytes:
        """One picture or piece of sound, to be shown at `seconds`."""
        ticks = int(seconds * CLOCK)
        stamp = struct.pack(
            ">BHH", 0x21 | (ticks >> 30 & 7) << 1, ticks >> 14 & 0xFFFE | 1, ticks << 1 & 0xFFFE | 1
        )
        return self._packets(pid, b"\0\0\1\xe0\0\0\x84\x80\x05" + stamp + data)

    def _packets(self, pid: int, data: bytes) -> bytes:
        """`data` from the start of a packet on; the last one is stuffed at its beginning."""
        made = b""
        for start in range(0, len(data), ROOM):
            part = data[start : start + ROOM]
            stuffing = b""
            if (missing := ROOM - len(part)) > 0:
                stuffing = bytes([missing - 1]) + (b"\0" + b"\xff" * (missing - 2) if missing > 1 else b"")
            count = self._counts[pid] = (self._counts.get(pid, -1) + 1) % 16
            begins, kind = 0 if start else 0x4000, 0x30 if missing else 0x10
            made += struct.pack(">BHB", 0x47, begins | pid, kind | count) + stuffing + part
        return made


def huge_picture(width: int, height: int) -> bytes:
    """A key frame of H.264 in some 40 bytes: of its macroblocks (16x16 pixels) only the first is there."""
    sequence = (
        f"{66:08b}{0:08b}{62:08b}"  # baseline profile, level 6.2
        + "".join(map(_exp_golomb, (0, 0, 2, 1)))  # id, bits of frame numbers, order of display, references
        + f"0{_exp_golomb(width // MACROBLOCK - 1)}{_exp_golomb(height // MACROBLOCK - 1)}"
        + "1100"  # whole frames, direct prediction in 8x8, no cropping, no more
    )
    one = _exp_golomb(0)
    picture = f"{one}{one}00{one}{one}{one}000{one}{one}{one}000"
    head = f"{one}{_exp_golomb(7)}{one}0000{one}00{one}"  # of an I slice
    macroblock = f"{_exp_golomb(3)}{one}{one}1"  # the mean of nothing, without a remainder
    return b"".join(
        b"\0\0\0\1" + bytes([kind]) + _escaped(bits)
        for kind, bits in ((0x67, sequence), (0x68, picture), (0x65, head + macroblock))
    )


def _exp_golomb(number: int) -> str:
    bits = f"{number + 1:b}"
    return "0" * (len(bits) - 1) + bits


def _escaped(bits: str) -> bytes:
    """Bytes with the closing bit; after two zeros no byte may look like the next start."""
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    made, zeros = b"", 0
    for byte in int(bits, 2).to_bytes(len(bits) // 8, "big"):
        if zeros >= 2 and byte <= 3:
            made, zeros = made + b"\3", 0
        made, zeros = made + bytes([byte]), 0 if byte else zeros + 1
    return made


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
