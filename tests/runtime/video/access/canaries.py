"""Canaries: files and ports that tell whether anybody touched them."""

import contextlib
import ctypes
import os
import select
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["Canaries", "canaries"]

IN_OPEN = 0x20
EVENT = struct.Struct("iIII")


@dataclass
class Canaries:
    """A video outside of every playlist's folder, and a port for TCP and UDP on loopback."""

    file: Path
    port: int
    watch: int  # inotify's descriptor
    visits: list[str]  # of the port

    def touched(self) -> list[str]:
        """What was opened or connected to since the last call."""
        found, self.visits[:] = self.visits.copy(), []
        while select.select([self.watch], [], [], 0)[0]:
            data = os.read(self.watch, 4096)
            while data:
                *_, length = EVENT.unpack(data[: EVENT.size])
                found.append("the file")
                data = data[EVENT.size + length :]
        return found


@contextlib.contextmanager
def canaries(clip: Path, folder: Path) -> Iterator[Canaries]:
    """Copies `clip` to `folder` as the file to steal."""
    folder.mkdir(parents=True)
    file = folder / "canary.ts"
    file.write_bytes(clip.read_bytes())
    visits: list[str] = []
    tcp = socket.create_server(("127.0.0.1", 0))
    port = tcp.getsockname()[1]
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", port))
    threads = [
        threading.Thread(target=_accept, args=(tcp, visits), daemon=True),
        threading.Thread(target=_receive, args=(udp, visits), daemon=True),
    ]
    for thread in threads:
        thread.start()
    watch = _watched(file)
    try:
        yield Canaries(file, port, watch, visits)
    finally:
        os.close(watch)
        with contextlib.suppress(OSError):
            tcp.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            udp.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        tcp.close()
        udp.close()


def _watched(file: Path) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "inotify_init"):
        pytest.skip("no inotify on this system")
    watch = libc.inotify_init()
    assert watch >= 0
    assert libc.inotify_add_watch(watch, os.fsencode(file), IN_OPEN) >= 0
    return watch


def _accept(tcp: socket.socket, visits: list[str]) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = tcp.accept()
            client.close()
            visits.append("the port, by TCP")


def _receive(udp: socket.socket, visits: list[str]) -> None:
    with contextlib.suppress(OSError):
        while udp.recv(65536):
            visits.append("the port, by UDP")
