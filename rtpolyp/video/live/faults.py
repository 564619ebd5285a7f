"""Fault: why a live input could not be opened or read, in a few words, and what to do about it."""

import errno
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import av

__all__ = ["Fault", "InputFault", "explain"]


@dataclass(frozen=True)
class Fault:
    """Neither part holds the address, nor anything else that a sender chose."""

    reason: str  # for the screen and the log
    remedy: str


class InputFault(Exception):
    """An input that libav opened, or never will, and that is of no use all the same."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.fault = Fault(reason, remedy)


CHECK = "check the address and that the sender runs"
CREDENTIALS = "give SCHEME://USER:PASSWORD@HOST/…"
# By errno, for errors that the system and libav share, or by class, for libav's own.
FAULTS: dict[int | type[Exception], Fault] = {
    errno.ECONNREFUSED: Fault("connection refused", CHECK),
    errno.ECONNRESET: Fault("connection lost", CHECK),
    errno.EPIPE: Fault("connection lost", CHECK),
    errno.ETIMEDOUT: Fault("no answer", CHECK),
    errno.EHOSTUNREACH: Fault("host out of reach", "check the network"),
    errno.ENETUNREACH: Fault("network out of reach", "check the network"),
    errno.EADDRINUSE: Fault("port in use", "give another port or end the program that listens there"),
    errno.ENOENT: Fault("no such device", "plug it in or give another number"),
    errno.ENODEV: Fault("device gone", "plug it in"),
    errno.ENXIO: Fault("device gone", "plug it in"),
    errno.EBUSY: Fault("device in use", "end the other program that shows it"),
    errno.EACCES: Fault("no right to it", "join the group video or ask for the right to read it"),
    errno.EINVAL: Fault(
        "not offered by it", "choose an input format, video size and frame rate that it has, or none"
    ),
    av.error.HTTPUnauthorizedError: Fault("user name or password refused (401)", CREDENTIALS),
    av.error.HTTPForbiddenError: Fault("forbidden to this user (403)", CREDENTIALS),
    av.error.HTTPNotFoundError: Fault("not found (404)", "check the path in the address"),
    av.error.ProtocolNotFoundError: Fault(
        "this FFmpeg does not read such addresses", "send by rtsp, http, rtmp, tcp or udp"
    ),
    av.error.InvalidDataError: Fault("no video that can be read", "send H.264 in MPEG-TS, for example"),
    av.error.ExitError: Fault("no answer", CHECK),  # by which libav says that the time was up
    TimeoutError: Fault("no answer", CHECK),
    EOFError: Fault("ended by the sender", CHECK),
}


def explain(error: BaseException, address: str) -> Fault:
    """Say what `error`, raised by an input at `address`, means; raises it again where it is none of those."""
    if isinstance(error, InputFault):
        return error.fault
    for kind in FAULTS:
        if isinstance(kind, type) and isinstance(error, kind):
            return FAULTS[kind]
    if not isinstance(error, OSError | av.FFmpegError):
        raise error
    code = error.errno or 0
    if code == errno.EIO and not _host_is_known(address):  # libav tells no more
        return Fault("no host of that name", "check the address and the network")
    return FAULTS.get(code) or Fault((error.strerror or f"error {code}").lower(), CHECK)


def _host_is_known(address: str) -> bool:
    host = urlsplit(address).hostname
    try:
        return not host or bool(socket.getaddrinfo(host, None))
    except OSError:
        return False
