"""RTSP's redirects, looked up before libav follows them, which no option of it forbids."""

import contextlib
import socket
import ssl
import time
from urllib.parse import urlsplit

from rtpolyp.video.access.hosts import Hosts, place_of
from rtpolyp.video.access.http import MOST_REDIRECTS
from rtpolyp.video.live.faults import CHECK, InputFault

__all__ = ["redirected_rtsp"]

LONGEST_REPLY = 64 * 1024  # bytes: a header, and an SDP that nobody reads here


def redirected_rtsp(address: str, hosts: Hosts, timeout: float) -> str:
    """Where the redirects of `address` end, or `address` itself where there are none.

    The server is asked as libav does, without credentials. A server that does not answer in `timeout`
    seconds, or not as RTSP does, has no redirect: libav finds out what else is wrong with it. Raises
    InputFault where a redirect leaves what `hosts` permit.
    """
    for _ in range(MOST_REDIRECTS + 1):
        target = None
        with contextlib.suppress(OSError, ValueError):
            target = _target(address, timeout)
        if target is None:
            return address
        address = hosts.next_url(address, target)
    raise InputFault(f"more than {MOST_REDIRECTS} redirects", CHECK)


def _target(address: str, timeout: float) -> str | None:
    url = urlsplit(address)
    deadline = time.monotonic() + timeout
    asked = url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()
    if not asked.isprintable() or " " in asked:
        return None
    with socket.create_connection(place_of(url), timeout) as connection:
        if url.scheme == "rtsps":
            connection = _encrypted(connection)
        for number, method in enumerate(("OPTIONS", "DESCRIBE"), 1):
            request = f"{method} {asked} RTSP/1.0\r\nCSeq: {number}\r\nAccept: application/sdp\r\n\r\n"
            connection.sendall(request.encode())
            status, fields = _reply(connection, deadline)
            if 300 <= status < 400:
                return fields.get("location")
    return None


def _encrypted(connection: socket.socket) -> socket.socket:
    """As libav does it: cameras sign their own certificates."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection)


def _reply(connection: socket.socket, deadline: float) -> tuple[int, dict[str, str]]:
    """Status and header of the next reply; raises OSError or ValueError where there is none."""
    data = b""
    while b"\r\n\r\n" not in data:
        connection.settimeout(max(0.01, deadline - time.monotonic()))
        part = connection.recv(4096)
        data += part
        if not part or len(data) > LONGEST_REPLY or time.monotonic() > deadline:
            raise ValueError("no whole header")
    first, *lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    fields = {name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
    return int(first.split()[1]), fields
