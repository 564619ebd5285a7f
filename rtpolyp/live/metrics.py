"""Metrics: where a session's telemetry is served."""

from typing import TYPE_CHECKING

from rtpolyp.errors import InputError
from rtpolyp.live.telemetry import Telemetry

if TYPE_CHECKING:
    from rtpolyp.live.prometheus import MetricsServer

__all__ = ["serve_metrics"]

LOOPBACK = "127.0.0.1"


def serve_metrics(telemetry: Telemetry, address: str) -> "MetricsServer":
    """Serve `telemetry` at `PORT`, `:PORT` (this machine only) or `HOST:PORT`; port 0 takes any free one.

    Raises InputError when the address is none, or cannot be listened on.
    """
    from rtpolyp.live.prometheus import MetricsServer  # heavy: imported only where it is wanted

    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or LOOPBACK
    if not port.isdecimal() or int(port) > 65_535:
        raise InputError(
            f" {address}: not an address; give :PORT or HOST:PORT, e.g. :9100", parameter="metrics"
        )
    try:
        return MetricsServer(telemetry, host, int(port))
    except OSError as exc:
        raise InputError(
            f" {address}: cannot be listened on ({exc.strerror}); give another port or host",
            parameter="metrics",
        ) from exc
