"""Where a served network is, and what opens the door: a URL, a token and a certificate authority."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from rtpolyp.errors import BackendError, InputError

__all__ = ["CA_FILE", "SCHEMES", "TOKEN", "TOKEN_FILE", "RemoteAddress", "is_remote"]

SCHEMES = {"grpc": 8001, "grpcs": 8001, "http": 8000, "https": 8000}  # and Triton's own ports
EXAMPLE = "grpc://server:8001/pranet-if"
MODEL = re.compile(r"[\w.+-]{1,100}")
# Of the environment: a command line can be read by every user of the machine.
TOKEN, TOKEN_FILE, CA_FILE = "RTPOLYP_ENGINE_TOKEN", "RTPOLYP_ENGINE_TOKEN_FILE", "RTPOLYP_ENGINE_CA"
BEARER = re.compile(r"[!-~]{1,16384}")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class RemoteAddress:
    """A model on a server. Its text is the URL, which holds no secret."""

    scheme: str  # a key of SCHEMES
    host: str
    port: int
    model: str
    token: str | None = field(default=None, repr=False)  # a bearer token
    authority: Path | None = None  # PEM file of certificate authorities; None: those of the system

    @classmethod
    def parse(cls, url: str) -> "RemoteAddress":
        """Read SCHEME://HOST[:PORT]/MODEL, and token and authority from the environment.

        Raises InputError for another form, and BackendError where a file of the environment cannot be read or
        a token would travel unencrypted.
        """
        scheme, _, rest = url.partition("://")
        if "@" in rest:
            raise InputError(
                f"{scheme}://…: an engine's address holds no name or password; leave what stands before @ "
                f"out, and put a token into {TOKEN} or its file's name into {TOKEN_FILE}"
            )
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        model = rest.partition("/")[2]
        if not host or not MODEL.fullmatch(model):
            raise InputError(f"{url}: not the address of a served network; give one like {EXAMPLE}")
        address = cls(scheme, host, port or SCHEMES[scheme], model, _token(), _authority())
        if address.token and not address.encrypted and host not in LOOPBACK:
            raise BackendError(
                f"{address}: a token would travel unencrypted; use {scheme}s://, or unset {TOKEN} and "
                f"{TOKEN_FILE}"
            )
        return address

    @property
    def encrypted(self) -> bool:
        """Whether by TLS."""
        return self.scheme.endswith("s")

    @property
    def target(self) -> str:
        """HOST:PORT."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        return {"authorization": f"Bearer {self.token}"} if self.token else {}

    def __str__(self) -> str:
        return f"{self.scheme}://{self.target}/{self.model}"


def is_remote(engine: str | Path) -> bool:
    """Whether an engine's name is the URL of a served network."""
    scheme, colon, _ = str(engine).partition("://")
    return bool(colon) and scheme in SCHEMES


def _token() -> str | None:
    if name := os.environ.get(TOKEN_FILE):
        try:
            token = Path(name).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "not ASCII"
            raise BackendError(f"{name}: {TOKEN_FILE} names it, and it cannot be read ({reason})") from None
        source = f"{TOKEN_FILE} names {name}, and"
    else:
        token, source = os.environ.get(TOKEN, ""), f"{TOKEN} is set, and"
    if token and not BEARER.fullmatch(token):
        raise BackendError(f"{source} it holds no bearer token: one word of printable ASCII is expected")
    return token or None


def _authority() -> Path | None:
    if not (name := os.environ.get(CA_FILE)):
        return None
    try:
        if b"BEGIN CERTIFICATE" not in Path(name).read_bytes():
            raise BackendError(f"{name}: {CA_FILE} names it, and it holds no certificate in PEM form")
    except OSError as exc:
        raise BackendError(f"{name}: {CA_FILE} names it, and it cannot be read ({exc.strerror})") from exc
    return Path(name)
