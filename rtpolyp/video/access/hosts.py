"""Hosts: where an input from the network may connect to."""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from rtpolyp.errors import InputError
from rtpolyp.video.live.faults import InputFault

__all__ = ["Hosts", "place_of"]

PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
NAME = re.compile(r"[0-9a-z.:_-]{1,253}")  # of a host, as it may be shown; a sender chose it


@dataclass(frozen=True)
class Hosts:
    """The host and port that the user named, and those that --allow-host adds: HOST or HOST:PORT."""

    allowed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for host in self.allowed:
            name, _, port = host.lower().removeprefix("[").partition("]:" if host.startswith("[") else ":")
            if not NAME.fullmatch(name.removesuffix("]")) or (port and not port.isdecimal()):
                raise InputError(
                    f" {host!r}: give HOST or HOST:PORT, without scheme and path", parameter="allowed_hosts"
                )

    def next_url(self, base: str, target: str) -> str:
        """`target`, as a reply or a playlist from `base` names it, as an address.

        It has the credentials of `base` where it stays on its host and port. Raises InputFault where it
        leads to another scheme or to a host or port that is not allowed. HTTP may become HTTPS.
        """
        try:
            here, there = urlsplit(base), urlsplit(urljoin(base, target))
            known = there.scheme in PORTS and there.hostname is not None
            is_same_kind = there.scheme in (here.scheme, f"{here.scheme}s")
            place = place_of(there) if known else None
        except ValueError:  # no port, no address of IPv6
            is_same_kind, place = False, None
        if place is None or not is_same_kind:
            raise InputFault("it leads to another kind of address", "give the address that has the video")
        host, port = place
        if place == place_of(here):
            return there._replace(netloc=here.netloc).geturl()
        is_upgrade = host == here.hostname and there.scheme != here.scheme and port == PORTS[there.scheme]
        if is_upgrade or self._allows(host, port):
            return there._replace(netloc=there.netloc.rpartition("@")[2]).geturl()
        shown = f"{host}:{port}" if NAME.fullmatch(host) else "HOST:PORT"
        raise InputFault(
            "it leads to another host or port", f"--allow-host {shown} lets it, if that is right"
        )

    def _allows(self, host: str, port: int) -> bool:
        shown = f"[{host}]" if ":" in host else host
        return any(one.lower() in (host, shown, f"{shown}:{port}") for one in self.allowed)


def place_of(url: SplitResult) -> tuple[str, int]:
    """Host in lower case, and port; raises ValueError where it has none of them."""
    if url.hostname is None:
        raise ValueError("no host")
    return url.hostname, url.port or PORTS[url.scheme]
