"""Address: where a page is served, and whether others than this machine can reach it."""

import ipaddress
import secrets
import socket
from dataclasses import dataclass

from rtpolyp.errors import InputError

__all__ = ["DEFAULT", "Address", "listen"]

DEFAULT = "127.0.0.1:8080"
TOKEN_BYTES = 24  # random ones: nobody guesses 192 bits
BACKLOG = 64


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int
    token: str | None = None  # asked of every request; None on loopback

    @classmethod
    def parse(cls, text: str, parameter: str = "serve") -> "Address":
        """Read `PORT`, `:PORT` (this machine only) or `HOST:PORT`; raise InputError where it is none.

        Every address but a loopback one gets a token.
        """
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
        if not port.isdecimal() or int(port) > 65_535 or not host.isprintable() or "/" in host:
            raise InputError(
                f" {text}: not an address; give :PORT or HOST:PORT, e.g. {DEFAULT}", parameter=parameter
            )
        return cls(host, int(port), None if is_loopback(host) else secrets.token_urlsafe(TOKEN_BYTES))

    @property
    def authority(self) -> str:
        """HOST:PORT as a URL has it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """What to open, with the token where there is one."""
        name = self.authority
        if self.host in ("0.0.0.0", "::", ""):
            name = f"{socket.gethostname()}:{self.port}"
        return f"http://{name}/" + (f"?token={self.token}" if self.token else "")

    def described(self) -> str:
        """The link, and who can use it."""
        whom = "for this machine alone" if self.token is None else "for whoever has this link: keep its token"
        return f"{self.url} ({whom})"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(address: Address, parameter: str = "serve") -> tuple[Address, socket.socket]:
    """Listen at `address`; return it with the port taken. Raises InputError where that cannot be."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as exc:
        raise InputError(
            f" {address.authority}: cannot be listened on ({exc.strerror}); give another port or host",
            parameter=parameter,
        ) from exc
    return Address(address.host, listener.getsockname()[1], address.token), listener
