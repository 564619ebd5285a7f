"""A virtual display for tests, and a hand at its keyboard and mouse, in the X11 protocol itself."""

import contextlib
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator

__all__ = ["Display", "virtual_display"]

INTERN_ATOM, QUERY_TREE, SEND_EVENT, QUERY_EXTENSION = 16, 15, 25, 98  # requests
CLIENT_MESSAGE = 33  # event
FAKE_INPUT, KEY_PRESS, KEY_RELEASE, MOTION = 2, 2, 3, 6  # of the XTEST extension
KEY_CODES = {  # of the evdev keyboard that Xvfb has; + is the keypad's, which needs no shift
    "esc": 9,
    "-": 20,
    "q": 24,
    "y": 29,
    "o": 32,
    "s": 39,
    "m": 58,
    "space": 65,
    "+": 86,
}


class Display:
    """A connection to a local X server without access control, such as Xvfb -ac."""

    def __init__(self, number: int) -> None:
        self.name = f":{number}"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(f"/tmp/.X11-unix/X{number}")
        self._socket.sendall(struct.pack("<BxHHHH2x", ord("l"), 11, 0, 0, 0))
        accepted, words = struct.unpack("<B5xH", self._receive(8))
        assert accepted == 1
        setup = self._receive(4 * words)
        vendor, formats = struct.unpack_from("<16xH3xB", setup)
        (self._root,) = struct.unpack_from("<I", setup, 32 + vendor + -vendor % 4 + 8 * formats)
        reply = self._ask(struct.pack("<BxHH2x8s", QUERY_EXTENSION, 4, 5, b"XTEST"))
        present, self._xtest = struct.unpack_from("<8xBB", reply)
        assert present

    def press(self, key: str) -> None:
        """Press and release a key where the pointer is."""
        for event in (KEY_PRESS, KEY_RELEASE):
            self._fake(event, KEY_CODES[key])

    def move(self, x: int, y: int) -> None:
        """Put the pointer to a place on the screen: without a window manager, keys go to what is under it."""
        self._fake(MOTION, 0, x, y)

    def click_close(self) -> None:
        """Ask every window to close, as a window manager does for a click on the close button."""
        reply = self._ask(struct.pack("<BxHI", QUERY_TREE, 2, self._root))
        (count,) = struct.unpack_from("<16xH", reply)
        protocols, delete = self._atom(b"WM_PROTOCOLS"), self._atom(b"WM_DELETE_WINDOW")
        for window in struct.unpack_from(f"<32x{count}I", reply):
            event = struct.pack(
                "<BBHII20s", CLIENT_MESSAGE, 32, 0, window, protocols, struct.pack("<I", delete)
            )
            self._socket.sendall(struct.pack("<BBHII", SEND_EVENT, 0, 11, window, 0) + event)

    def close(self) -> None:
        self._socket.close()

    def _atom(self, name: bytes) -> int:
        padded = name + bytes(-len(name) % 4)
        reply = self._ask(struct.pack("<BBHH2x", INTERN_ATOM, 0, 2 + len(padded) // 4, len(name)) + padded)
        return int(struct.unpack_from("<8xI", reply)[0])

    def _fake(self, event: int, detail: int, x: int = 0, y: int = 0) -> None:
        body = struct.pack("<BB2xII8xhh8x", event, detail, 0, 0, x, y)
        self._socket.sendall(struct.pack("<BBH", self._xtest, FAKE_INPUT, 9) + body)

    def _ask(self, request: bytes) -> bytes:
        self._socket.sendall(request)
        while (reply := self._receive(32))[0] > 1:  # events that every client gets
            pass
        assert reply[0] == 1, "the X server answered with an error"
        return reply + self._receive(4 * struct.unpack_from("<4xI", reply)[0])

    def _receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += self._socket.recv(count - len(data))
        return data


@contextlib.contextmanager
def virtual_display() -> Iterator[Display]:
    """Start Xvfb on a free number; raise FileNotFoundError when it is not installed."""
    if shutil.which("Xvfb") is None:
        raise FileNotFoundError("Xvfb is not installed (apt-get install xvfb)")
    readable, writable = os.pipe()
    command = ["Xvfb", "-displayfd", str(writable), "-screen", "0", "800x600x24", "-ac", "-noreset"]
    server = subprocess.Popen(command, pass_fds=[writable], stderr=subprocess.DEVNULL)
    os.close(writable)
    try:
        with os.fdopen(readable) as pipe, contextlib.closing(Display(int(pipe.readline()))) as display:
            yield display
    finally:
        server.terminate()
        server.wait(10)
