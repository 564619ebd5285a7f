"""Guard: who may ask, and what a browser may do with the answer."""

import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.responses import RedirectResponse, Response

from rtpolyp.web.address import Address, is_loopback
from rtpolyp.web.pages import said

__all__ = ["HEADERS", "Guard", "Message", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

COOKIE = "rtpolyp_token"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
SAFE = ("GET", "HEAD")


class Guard:
    """An ASGI application around another one, which sees only requests that may be answered.

    - The Host that a request names must be this server's: a foreign name that leads here is an attack by DNS.
    - The Origin, where one is named, must be this server's own page; what changes anything must name one.
    - Where the address has a token, a request must carry it: in the link once, in a cookie from then on, or
      as a bearer. It is compared in constant time.
    """

    def __init__(self, app: Any, address: Address) -> None:
        self._app, self._address = app, address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        refusal = self._refusal(scope, headers)
        await (refusal or self._app)(scope, receive, guarded)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> Response | None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            return said(421, "This server has another name. Open it by the address that it printed.")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return said(403, "Another site's page may not use this server.")
        if scope["method"] not in SAFE and origin is None:
            return said(403, "A request that changes anything must name its Origin.")
        if self._address.token is None:
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["method"] == "GET" and scope["path"] == "/" and self._matches(given):
            answer = RedirectResponse("/", 303)  # so that the token leaves the address bar
            answer.set_cookie(COOKIE, given, httponly=True, samesite="strict")
            return answer
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if self._matches(bearer) or self._matches(_cookie(headers.get("cookie", ""))):
            return None
        return said(401, "This server asks for its token. Open the whole link that it printed.")

    def _matches(self, given: str) -> bool:
        token = self._address.token or ""
        return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())

    def _is_ours(self, host: str) -> bool:
        """Whether a Host is this server's; any numeric address is, since no name was asked for it."""
        try:
            parts = urlsplit(f"//{host}")
            name, port = (parts.hostname or "").lower(), parts.port or 80
        except ValueError:
            return False
        if port != self._address.port or parts.path or parts.username is not None:
            return False
        if is_loopback(self._address.host):
            return is_loopback(name)
        return name == self._address.host.lower() or name == _own_name() or _is_numeric(name)


def _own_name() -> str:
    return socket.gethostname().lower()


def _is_numeric(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _cookie(text: str) -> str:
    try:
        found = SimpleCookie(text).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""
