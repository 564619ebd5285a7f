"""Playlists (HLS): their parts are opened here, one by one, and never by libav."""

import contextlib
import io
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from rtpolyp.video.access.hosts import Hosts
from rtpolyp.video.access.http import Reply, fetch
from rtpolyp.video.live.faults import InputFault

__all__ = ["PLAYLIST", "LocalParts", "Parts", "RemoteParts", "is_playlist"]

PLAYLIST = ("hls", "aac", "ac3", "mov", "mp3", "mp4", "mpegts", "webvtt")  # formats: with what parts may be
LONGEST_LIST = 2 * 2**20  # bytes: some twenty thousand parts
LARGEST_PART = 2**30  # bytes
REMEDY = "give the address or the file that has the video"


def is_playlist(address: str) -> bool:
    """Whether the user says that it is one, by its extension; what a sender says does not count."""
    return urlsplit(address).path.lower().endswith((".m3u8", ".m3u"))


class Parts:
    """PyAV's `io_open`: called with the URL of the playlist and of each part, it returns an open file.

    The first that may not be opened, or cannot, raises InputFault or OSError. PyAV raises that again once
    libav returns; of a second one it would print a traceback. So what libav tries from then on is empty.
    PyAV closes the files, but not where the playlist cannot be opened.
    """

    def __init__(self) -> None:
        self._failed = False
        self._files: list[Any] = []

    def close(self) -> None:
        """Close what is still open."""
        for file in self._files:
            file.close()

    def __call__(self, url: str, flags: int, options: dict[str, str]) -> Any:
        """Open one part; flags and options of libav are not looked at."""
        if self._failed:
            return io.BytesIO()
        try:
            file = self._open(url)
        except BaseException:
            self._failed = True
            raise
        self._files = [*(one for one in self._files if not one.closed), file]
        return file

    def _open(self, url: str) -> Any:
        raise NotImplementedError


class LocalParts(Parts):
    """Opens `playlist`, and files in its folder and below it, wherever links lead."""

    def __init__(self, playlist: Path) -> None:
        super().__init__()
        self._folder = playlist.parent.resolve()
        self._lists: set[Path] = set()  # libav reads one again to learn how it goes on

    def _open(self, url: str) -> Any:
        path = Path(url.removeprefix("file:")).resolve()
        if not url.startswith("file:") or not (path.is_relative_to(self._folder) and path.is_file()):
            raise InputFault("its playlist names what is no file of its folder", REMEDY)
        if not is_playlist(path.name):
            return path.open("rb")
        if path in self._lists:
            raise InputFault("its playlist has no end", "add the line #EXT-X-ENDLIST")
        self._lists.add(path)
        return _whole(path.open("rb"))


class RemoteParts(Parts):
    """Fetches the playlist at `address`, and parts from where `hosts` permit, `timeout` seconds a wait."""

    def __init__(self, address: str, hosts: Hosts, timeout: float) -> None:
        super().__init__()
        self._address, self._hosts, self._timeout = address, hosts, timeout

    def _open(self, url: str) -> Any:
        part = fetch(self._hosts.next_url(self._address, url), self._hosts, self._timeout, LARGEST_PART)
        return _whole(part) if is_playlist(url) else part


def _whole(file: BinaryIO | Reply) -> io.BytesIO:
    """A playlist's text. PyAV does not close the first file that it opens."""
    text = bytearray()
    with contextlib.closing(file):
        while data := file.read(65536):
            text += data
            if len(text) > LONGEST_LIST:
                raise InputFault(f"a playlist of more than {LONGEST_LIST >> 20} MiB", REMEDY)
    try:
        text.decode("utf-8")  # PyAV does so with each name, and would raise what nobody expects
    except UnicodeDecodeError:
        raise InputFault("its playlist is no text in UTF-8", f"save it so, or {REMEDY}") from None
    return io.BytesIO(bytes(text))
