"""The metrics page under clients that never end: few connections, little time, no cost for the picture."""

import contextlib
import socket
import threading
import time
import urllib.request
from urllib.parse import urlsplit

import psutil

from rtpolyp.live import bounded_server
from rtpolyp.live.metrics import serve_metrics
from rtpolyp.live.telemetry import Telemetry

CLIENTS = 200
INTERVAL = 0.02  # seconds between two pictures
PICTURES = 100
SLACK_SECONDS = 0.25  # by which a thread of a busy machine may be late anyway


def longest_gap() -> float:
    """Of a loop that shows a picture each INTERVAL."""
    longest, last = 0.0, time.monotonic()
    for _ in range(PICTURES):
        time.sleep(INTERVAL)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    return longest


def test_two_hundred_slow_clients_cost_the_picture_nothing(monkeypatch):
    monkeypatch.setattr(bounded_server, "ANSWER_SECONDS", 2.0)
    alone = longest_gap()
    with serve_metrics(Telemetry(), ":0") as server, contextlib.ExitStack() as stack:
        url = urlsplit(server.url)
        clients = [
            stack.enter_context(socket.create_connection((url.hostname, url.port))) for _ in range(CLIENTS)
        ]
        over = threading.Event()

        def drip() -> None:
            """A byte of a request each now and then, to each."""
            for byte in b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 1000:
                for client in clients:
                    with contextlib.suppress(OSError):
                        client.send(bytes([byte]))
                if over.wait(0.1):
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            time.sleep(0.5)
            workers = [one.name for one in threading.enumerate() if "process_request" in one.name]
            assert len(workers) <= bounded_server.MOST_CONNECTIONS
            assert longest_gap() < alone + SLACK_SECONDS
            assert psutil.Process().num_threads() < CLIENTS
            time.sleep(1.5)
            deadline = time.monotonic() + 20
            while True:  # the slow ones are cut off, so a scraper gets its turn
                with contextlib.suppress(OSError), urllib.request.urlopen(server.url, timeout=5) as answer:
                    assert b"rtpolyp_frames_displayed_total" in answer.read()
                    break
                assert time.monotonic() < deadline
                time.sleep(0.2)
        finally:
            over.set()
            thread.join()


def test_it_ends_at_once_with_clients_connected():
    with serve_metrics(Telemetry(), ":0") as server:
        url = urlsplit(server.url)
        client = socket.create_connection((url.hostname, url.port))
        client.send(b"GET ")
        time.sleep(0.2)
        begun = time.monotonic()
    assert time.monotonic() - begun < 1.5
    client.close()
