"""Opening: every file, pipe and stream is opened here, under one policy of what it may open in turn."""

import errno
import time
from collections.abc import Mapping
from io import RawIOBase
from pathlib import Path
from typing import Any

import av

from rtpolyp.video.access.allocations import limited_allocations
from rtpolyp.video.access.hosts import Hosts
from rtpolyp.video.access.http import redirected_http
from rtpolyp.video.access.playlist import PLAYLIST, LocalParts, Parts, RemoteParts, is_playlist
from rtpolyp.video.access.rtsp import redirected_rtsp
from rtpolyp.video.access.whitelist import EMBEDDED, whitelist
from rtpolyp.video.address import SCHEMES, STDIN, scheme_of
from rtpolyp.video.live.faults import InputFault

__all__ = ["open_embedded", "open_file", "open_stdin", "open_url"]

LONG_INDEX = 32 * 2**20  # bytes: an MP4 file of 15 hours needs as much in one piece
BUSY_SECONDS, BUSY_TRIES = 0.2, 5  # for a server that still ends the connection that asked it

Timeouts = tuple[float, float]  # seconds: until an input is open, and for each packet


def open_file(path: Path, settings: Mapping[str, str]) -> av.container.InputContainer:
    """Open a video file, or a local playlist with parts in its own folder; raises as `av.open` does.

    `settings` are options of libav, here and below, with those of `probing_limits`.

    Raises InputFault for a playlist that names anything else.
    """
    name = f"file:{path}"  # the prefix keeps libav from reading a name like "a:b.mp4" as an address
    if is_playlist(path.name):
        return _open_playlist(name, LocalParts(path), settings, None)
    return _open(name, {**settings, **whitelist(None)})


def open_embedded(stream: RawIOBase, settings: Mapping[str, str]) -> av.container.InputContainer:
    """Open the video that lies inside another file, which may name nothing outside; raises as `av.open`."""
    return _open(stream, {**settings, **whitelist(EMBEDDED)})


def open_stdin(settings: Mapping[str, str]) -> av.container.InputContainer:
    """Open the standard input, which may hold anything but a playlist."""
    return _open("pipe:0", {**settings, **whitelist(STDIN)})


def open_url(
    address: str, hosts: Hosts, settings: Mapping[str, str], timeouts: Timeouts
) -> av.container.InputContainer:
    """Open a stream, where `hosts` permit, through redirects; raises as `av.open` does.

    Raises InputFault for a scheme that is none of SCHEMES, and for redirects and playlists that lead to what
    the user did not name.
    """
    scheme = scheme_of(address)
    if scheme not in SCHEMES:
        raise InputFault(
            "such addresses are not read", "send by rtsp, http, rtmp, tcp or udp, or give a file's path"
        )
    if scheme in ("rtsp", "rtsps"):
        return _open_rtsp(redirected_rtsp(address, hosts, timeouts[0]), settings, timeouts)
    if scheme not in ("http", "https"):
        return _open(address, {**settings, **whitelist(address)}, timeout=timeouts)
    if is_playlist(address):
        return _open_playlist(address, RemoteParts(address, hosts, timeouts[1]), settings, timeouts)
    try:
        return _open_http(address, settings, timeouts)
    except av.FFmpegError as exc:
        if exc.errno != errno.EIO:  # as it calls a redirect, too
            raise
        redirected = redirected_http(address, hosts, timeouts[1])
        if redirected == address:
            raise
    if is_playlist(redirected):
        return _open_playlist(redirected, RemoteParts(redirected, hosts, timeouts[1]), settings, timeouts)
    return _open_http(redirected, settings, timeouts)


def _open_rtsp(address: str, settings: Mapping[str, str], timeouts: Timeouts) -> av.container.InputContainer:
    """Open it; a server that has just been asked for redirects may answer 5xx until it has ended that.

    GStreamer's does, while it ends a stream that all its clients share.
    """
    options = {**settings, **whitelist(address)}
    for _ in range(BUSY_TRIES - 1):
        try:
            return _open(address, options, timeout=timeouts)
        except av.error.HTTPServerError:
            time.sleep(BUSY_SECONDS)
    return _open(address, options, timeout=timeouts)


def _open_http(address: str, settings: Mapping[str, str], timeouts: Timeouts) -> av.container.InputContainer:
    return _open(address, {**settings, **whitelist(address), "max_redirects": "0"}, timeout=timeouts)


def _open_playlist(
    name: str, parts: Parts, settings: Mapping[str, str], timeouts: Timeouts | None
) -> av.container.InputContainer:
    options = {
        **settings,
        "protocol_whitelist": "",  # nothing: all is opened by `parts`
        "format_whitelist": ",".join(PLAYLIST),
        "http_persistent": "0",  # libav's own connections
        "http_multiple": "0",
    }
    try:
        return _open(name, options, format="hls", timeout=timeouts, io_open=parts)
    except BaseException:
        parts.close()
        raise


def _open(name: str | RawIOBase, options: dict[str, str], **how: Any) -> av.container.InputContainer:
    largest = max(LONG_INDEX, int(options["max_pixels"]))  # twice the user's: a plane of 16 bits
    while True:
        try:
            with limited_allocations(largest):
                container: av.container.InputContainer = av.open(name, "r", options=options, **how)
            return container
        except av.error.InterruptedError:  # a signal, whose handler runs now and may raise
            continue
        except av.error.ArgumentError as exc:  # so libav says that a whitelist lacks a format or a protocol
            raise InputFault(
                "of a kind that is not read (a playlist or subtitles, perhaps)", "give the video itself"
            ) from exc
        except av.error.MemoryError as exc:  # as libav says, too, that there are more streams than allowed
            raise InputFault(
                f"it has more than {options['max_streams']} streams, or more to read than memory takes",
                "keep the video alone",
            ) from exc
