"""Prometheus' text over HTTP."""

import threading
from collections.abc import Iterator
from typing import Self

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from rtpolyp.live.bounded_server import BoundedServer
from rtpolyp.live.telemetry import AI_STATES, COUNTERS, TIMES, Telemetry

__all__ = ["MetricsServer", "TelemetryCollector"]

POLL_SECONDS = 0.1  # how soon `close` is noticed


class MetricsServer:
    """The HTTP server, on threads of its own; a context manager. Raises OSError where it cannot listen.

    A scrape costs 1.3 ms of processor time (measured on an AMD EPYC), in which other threads wait for the
    interpreter; at 20 a second the picture's timing was that of a session whose neighbour is scraped.
    Connections are bounded in number and time, so clients that never read cost eight sleeping threads.
    """

    def __init__(self, telemetry: Telemetry, host: str, port: int) -> None:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(TelemetryCollector(telemetry))
        self._server = BoundedServer(host, port)
        self._server.set_app(make_wsgi_app(registry))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), name="rtpolyp-metrics", daemon=True
        )
        self._thread.start()
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


class TelemetryCollector(Collector):
    """Turns copies of the counts and times into metrics, at each scrape."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def collect(self) -> Iterator[Metric]:
        """All metrics, as they are now."""
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
