import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rtpolyp.errors import InputError
from rtpolyp.live.metrics import serve_metrics
from rtpolyp.live.prometheus import TelemetryCollector
from rtpolyp.live.telemetry import Telemetry


def scrape(url: str) -> dict[str, float]:
    """All samples, by name and labels."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        text = answer.read().decode()
    return {
        sample.name + "".join(f"{{{key}={value}}}" for key, value in sample.labels.items()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_shows_counters_times_and_the_ais_state() -> None:
    telemetry = Telemetry()
    telemetry.count("frames_displayed", 30)
    telemetry.count("activations_suppressed", 2)
    telemetry.ai_state = "reduced"
    for seconds in (0.033, 0.034, 3.0):
        telemetry.time("display_gap", seconds)
    with serve_metrics(telemetry, ":0") as server:
        samples = scrape(server.url)
        telemetry.count("frames_displayed")
        assert scrape(server.url)["rtpolyp_frames_displayed_total"] == 31
    assert samples["rtpolyp_frames_displayed_total"] == 30
    assert samples["rtpolyp_activations_suppressed_total"] == 2
    assert samples["rtpolyp_engine_restarts_total"] == 0
    assert samples["rtpolyp_display_gap_seconds_bucket{le=0.02}"] == 0
    assert samples["rtpolyp_display_gap_seconds_bucket{le=0.035}"] == 2
    assert samples["rtpolyp_display_gap_seconds_bucket{le=+Inf}"] == 3
    assert samples["rtpolyp_display_gap_seconds_count"] == 3
    assert samples["rtpolyp_display_gap_seconds_sum"] == pytest.approx(3.067)
    states = {name: value for name, value in samples.items() if name.startswith("rtpolyp_ai_state")}
    assert states.pop("rtpolyp_ai_state{state=reduced}") == 1
    assert set(states.values()) == {0}


@pytest.mark.parametrize("address", [":0", "0"])
def test_without_a_host_only_this_machine_is_answered(address: str) -> None:
    with serve_metrics(Telemetry(), address) as server:
        assert server.url.startswith("http://127.0.0.1:")


def test_a_host_is_taken_as_given() -> None:
    with serve_metrics(Telemetry(), "0.0.0.0:0") as server:
        assert server.url.startswith("http://0.0.0.0:")
        assert scrape(server.url.replace("0.0.0.0", "127.0.0.1"))


def test_a_port_in_use_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"metrics :{port}: cannot be listened on .*; give another port"):
            serve_metrics(Telemetry(), f":{port}")


def test_an_unknown_host_fails() -> None:
    with pytest.raises(InputError, match=r"metrics 203\.0\.113\.7:0: cannot be listened on"):
        serve_metrics(Telemetry(), "203.0.113.7:0")  # of TEST-NET-3: nobody's


@pytest.mark.parametrize("address", ["", ":", "host", "9100x", ":99999", ":-1"])
def test_what_is_no_address_fails(address: str) -> None:
    with pytest.raises(InputError, match="not an address; give :PORT or HOST:PORT"):
        serve_metrics(Telemetry(), address)


def test_closing_frees_the_port() -> None:
    server = serve_metrics(Telemetry(), ":0")
    port = int(server.url.split(":")[2].split("/")[0])
    server.close()
    server.close()
    serve_metrics(Telemetry(), f":{port}").close()


def test_a_client_that_never_reads_holds_nobody_up() -> None:
    telemetry = Telemetry()
    with serve_metrics(telemetry, ":0") as server:
        port = int(server.url.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as idle:
            idle.sendall(b"GET /metrics HTTP/1.1\r\n")  # and no more
            begun = time.perf_counter()
            telemetry.count("frames_displayed")
            assert scrape(server.url)["rtpolyp_frames_displayed_total"] == 1
            assert time.perf_counter() - begun < 2


def test_counting_goes_on_in_the_middle_of_a_scrape() -> None:
    """The lock is not held while metrics are made: a scrape that is stopped half-way blocks nothing."""
    telemetry = Telemetry()
    metrics = TelemetryCollector(telemetry).collect()
    next(metrics)
    counted = threading.Event()

    def count() -> None:
        telemetry.count("inferences")
        telemetry.time("inference", 0.02)
        counted.set()

    threading.Thread(target=count, daemon=True).start()
    assert counted.wait(5)
    assert list(metrics)


def test_prometheus_is_not_loaded_without_need() -> None:
    script = (
        "import sys, rtpolyp.live.metrics, rtpolyp.live.telemetry; print('prometheus_client' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"
