"""Metrics: a session's telemetry as Prometheus' text, over HTTP."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import Self

from rtpolyp.errors import InputError
from rtpolyp.live.telemetry import AI_STATES, COUNTERS, TIMES, Telemetry

__all__ = ["MetricsServer", "serve_metrics"]

LOOPBACK = "127.0.0.1"


class MetricsServer:
    """The HTTP server, on threads of its own; a context manager."""

    def __init__(self, telemetry: Telemetry, host: str, port: int) -> None:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(telemetry))
        self._server, self._thread = start_http_server(port, host, registry)
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self._server.server_port}/metrics"

    def close(self) -> None:
        """Stop serving; later calls do nothing."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def serve_metrics(telemetry: Telemetry, address: str) -> MetricsServer:
    """Serve `telemetry` at `PORT`, `:PORT` (this machine only) or `HOST:PORT`; port 0 takes any free one.

    Raises InputError when the address is none, or cannot be listened on.
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or LOOPBACK
    if not port.isdecimal() or int(port) > 65_535:
        raise InputError(f"--metrics {address}: not an address; give :PORT or HOST:PORT, e.g. :9100")
    try:
        return MetricsServer(telemetry, host, int(port))
    except OSError as exc:
        raise InputError(
            f"--metrics {address}: cannot be listened on ({exc.strerror}); give another port or host"
        ) from exc


class _Collector(Collector):
    """Turns copies of the counts and times into metrics, at each scrape."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def collect(self) -> Iterator[Metric]:
        for counter, count in self._telemetry.counts().items():
            yield CounterMetricFamily(f"rtpolyp_{counter}", COUNTERS[counter], value=count)
        for name, time in self._telemetry.times().items():
            buckets = [(f"{bound:g}", below) for bound, below in time.cumulative()]
            buckets.append(("+Inf", time.count))
            yield HistogramMetricFamily(
                f"rtpolyp_{name}_seconds", TIMES[name], buckets=buckets, sum_value=time.total
            )
        states = GaugeMetricFamily("rtpolyp_ai_state", "1 for the state that the AI is in.", labels=["state"])
        for state in AI_STATES:
            states.add_metric([state], state == self._telemetry.ai_state)
        yield states
