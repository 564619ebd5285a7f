"""Addresses: which inputs are live, which are files, and how each is named without its credentials."""

import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rtpolyp.errors import InputError

__all__ = ["SCHEMES", "STDIN", "is_camera", "is_live", "is_url", "local_path", "redact", "scheme_of"]

STDIN = "-"
SCHEMES = ("http", "https", "rtmp", "rtmps", "rtsp", "rtsps", "srt", "tcp", "udp")
URL = re.compile(r"[a-z][a-z0-9+.-]+:(?!\\)", re.IGNORECASE)  # two letters at least: C:\ is a drive
FILE_URL = re.compile("file:/", re.IGNORECASE)
HIDDEN = "***"
# What cameras and libav name in a query without harm. All else is hidden, since a list of the names that
# makers give to passwords, tokens and keys would never be complete.
HARMLESS = (
    "channel",
    "fifo_size",
    "fps",
    "listen",
    "pkt_size",
    "resolution",
    "stream",
    "subtype",
    "timeout",
    "udp",
)


def is_camera(address: str) -> bool:
    """Whether it is a capture device: its number, on Linux its node, on Windows `video=NAME`."""
    named = {"linux": "/dev/video", "win32": "video="}.get(sys.platform)
    return address.isdecimal() or (named is not None and address.startswith(named))


def is_url(address: str) -> bool:
    """Whether it is written as a URL, of a known scheme or not."""
    return URL.match(address) is not None


def is_live(address: str) -> bool:
    """Whether frames come on their own clock: a camera, a URL, or `-` for the standard input."""
    return address == STDIN or is_camera(address) or ("://" in address and not FILE_URL.match(address))


def local_path(address: str) -> Path:
    """The path of a file or folder: as it is, as a `file://` URL, or from `~`, the user's own folder.

    Raises InputError for an empty address, and for the URL of another computer's file.
    """
    if not address:
        raise InputError("'': an empty name; give a video, an image, a folder of images, a camera or a URL")
    if FILE_URL.match(address):
        parts = urlsplit(address)
        if parts.netloc not in ("", "localhost"):
            raise InputError(
                f"{redact(address)}: is on another computer; mount its folder, or copy the file here"
            )
        return Path(unquote(parts.path))
    return Path(address if os.path.exists(address) else os.path.expanduser(address))


def scheme_of(address: str) -> str | None:
    """The scheme of a live URL, in lower case; None for a camera, the standard input and files."""
    return address.partition("://")[0].lower() if "://" in address else None


def redact(address: str) -> str:
    """Hide every part of a URL that may be a credential; other addresses stay as they are.

    These are the user's name and password, the values of a query unless known to be harmless, segments of
    the path that hold a `name=value`, and the fragment. A password that holds reserved characters is hidden
    as well: what stands before the last @ goes.
    """
    if not is_url(address):
        return address
    scheme, _, rest = address.partition(":")
    slashes = rest[: len(rest) - len(rest.lstrip("/"))]
    rest = rest[len(slashes) :]
    user, at, rest = rest.rpartition("@")
    rest, _, fragment = rest.partition("#")
    rest, _, query = rest.partition("?")
    path = "/".join(HIDDEN if "=" in segment else segment for segment in rest.split("/"))
    return (
        f"{scheme}:{slashes}{HIDDEN if user else ''}{at}{path}"
        + (f"?{'&'.join(map(_redact_pair, query.split('&')))}" if query else "")
        + (f"#{HIDDEN}" if fragment else "")
    )


def _redact_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    if name.lower() in HARMLESS:
        return pair
    return f"{name}={HIDDEN}" if equals else HIDDEN
