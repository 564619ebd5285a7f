"""HTTP requests of our own: redirects and the parts of playlists, each checked before it is followed."""

import base64
import http.client
from typing import Any
from urllib.parse import unquote, urlsplit

from rtpolyp.deadline_socket import DeadlineSocket
from rtpolyp.video.access.hosts import Hosts, place_of
from rtpolyp.video.live.faults import CHECK, CREDENTIALS, InputFault

__all__ = ["Reply", "fetch", "redirected_http"]

REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 5
HEADER_SECONDS = 10.0
BODY_SECONDS = 60.0  # a part of a playlist lasts some ten
REFUSED = {
    401: ("user name or password refused (401)", CREDENTIALS),
    403: ("forbidden to this user (403)", CREDENTIALS),
    404: ("not found (404)", "check the path in the address"),
}


class Reply:
    """An answer, whose body libav can read as a file: `limit` bytes and BODY_SECONDS at most."""

    def __init__(self, connection: http.client.HTTPConnection, limit: int) -> None:
        self._connection, self._left = connection, limit
        self._response = connection.getresponse()
        self.status = self._response.status
        location = self._response.headers.get("Location")
        self.redirect = location if self.status in REDIRECTS else None

    def read(self, size: int) -> bytes:
        """What has come, up to `size` bytes; nothing at the end."""
        data = self._response.read1(size)
        self._left -= len(data)
        if self._left < 0:
            raise InputFault("a part of its playlist has no end", CHECK)
        return data

    @property
    def closed(self) -> bool:
        """Whether it was read to its end, or closed."""
        return self._response.closed

    def close(self) -> None:
        """End the connection."""
        self._response.close()
        self._connection.close()


def redirected_http(address: str, hosts: Hosts, timeout: float) -> str:
    """Where the redirects of `address` end, or `address` itself where there are none; raises as `fetch`."""
    url, reply = _follow(address, hosts, timeout, limit=0)
    reply.close()
    return url


def fetch(address: str, hosts: Hosts, timeout: float, limit: int) -> Reply:
    """Ask for `address`, whose user name and password go along; `timeout` in seconds, of each wait.

    Raises InputFault where a redirect leaves what `hosts` permit or the host refuses, OSError where it
    cannot be reached.
    """
    _, reply = _follow(address, hosts, timeout, limit)
    if reply.status in (200, 206):
        return reply
    reply.close()
    raise InputFault(*REFUSED.get(reply.status, (f"it answers {reply.status}", CHECK)))


def _follow(address: str, hosts: Hosts, timeout: float, limit: int) -> tuple[str, Reply]:
    for _ in range(MOST_REDIRECTS + 1):
        try:
            reply = _get(address, timeout, limit)
        except http.client.HTTPException as exc:
            raise InputFault("it does not answer as HTTP does", CHECK) from exc
        if reply.redirect is None:
            return address, reply
        reply.close()
        address = hosts.next_url(address, reply.redirect)
    raise InputFault(f"more than {MOST_REDIRECTS} redirects", CHECK)


def _get(address: str, timeout: float, limit: int) -> Reply:
    url = urlsplit(address)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    headers = {"Connection": "close", "User-Agent": "rtpolyp"}
    if url.username is not None:
        user = f"{unquote(url.username)}:{unquote(url.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    connection = kind(*place_of(url), timeout=timeout)
    try:
        connection.connect()
        sock: Any = DeadlineSocket(connection.sock, timeout, HEADER_SECONDS)
        connection.sock = sock
        connection.request("GET", path, headers=headers)
        reply = Reply(connection, limit)
        sock.allow(BODY_SECONDS)
        return reply
    except BaseException:
        connection.close()
        raise
