"""Feed: where a live stream comes from, and what its end means."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av

from rtpolyp.video.access.hosts import Hosts
from rtpolyp.video.access.opening import open_file, open_stdin, open_url
from rtpolyp.video.address import STDIN, redact
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.picture_limit import probing_limits

__all__ = ["Feed", "feed_of_file", "feed_of_stdin", "feed_of_url"]

ANALYSIS = "500000"  # microseconds that suffice to tell a stream's traits


@dataclass(frozen=True)
class Feed:
    """How a LiveStream opens its input, at first and after every loss."""

    name: str  # without credentials
    open: Callable[[], av.container.InputContainer]  # raises av.FFmpegError, OSError or InputError
    address: str = ""  # with credentials: to look its host up
    path: Path | None = None  # of a file
    waits: bool = False  # a file or a pipe: read no faster than its frames are taken
    paced: bool = False  # a file: its frames are given at their own pace
    at_end: Literal["reopen", "repeat", "end"] = "reopen"


def feed_of_url(address: str, options: InputOptions) -> Feed:
    """A stream from the network: opened again whenever it ends or fails.

    RTSP goes over TCP, which loses nothing; `?udp` at the end of the address asks for UDP.
    """
    hosts = Hosts(options.allowed_hosts)
    timeouts = options.open_seconds, options.stall_seconds
    # No `nobuffer`: it discards what was read for ANALYSIS, and with it the first key frame, which delays the
    # first picture by a group of pictures.
    settings = {"analyzeduration": ANALYSIS, **probing_limits(options.max_pixels)}
    if address.lower().startswith(("rtsp:", "rtsps:")):
        settings["rtsp_transport"] = "tcp"
    if address.lower().startswith("udp:"):
        settings["overrun_nonfatal"] = "1"

    def open_input() -> av.container.InputContainer:
        return open_url(address, hosts, settings, timeouts)

    return Feed(redact(address), open_input, address)


def feed_of_stdin(options: InputOptions) -> Feed:
    """The standard input, to its end; it cannot be opened twice."""
    settings = {"analyzeduration": ANALYSIS, **probing_limits(options.max_pixels)}

    def open_input() -> av.container.InputContainer:
        return open_stdin(settings)

    return Feed("standard input", open_input, STDIN, waits=True, at_end="end")


def feed_of_file(path: Path, options: InputOptions, *, repeat: bool = False) -> Feed:
    """A video file, played at its own pace: once, or again and again."""
    at_end: Literal["repeat", "end"] = "repeat" if repeat else "end"
    return Feed(
        path.name,
        lambda: open_file(path, probing_limits(options.max_pixels)),
        os.fspath(path),
        path,
        waits=True,
        paced=True,
        at_end=at_end,
    )
