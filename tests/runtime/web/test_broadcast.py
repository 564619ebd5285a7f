"""What the pipeline's end does, whatever becomes of the server and its viewers."""

import contextlib
import os
import signal
import socket
import time

import cv2
import numpy as np
import pytest

from rtpolyp.web.broadcast import Pace, fitting
from rtpolyp.web.hub import Picture
from tests.runtime.clips import code_of
from tests.runtime.web import conftest
from tests.runtime.web.conftest import Served

SHOW_SECONDS = 0.5  # for what takes a millisecond on a quiet machine
END_SECONDS = 2.0  # promised for a session's end


def numbers(served: Served, count: int) -> list[int]:
    """The counters in the next pictures by MJPEG."""
    found, data = [], b""
    with served.client().stream("GET", "/picture.mjpeg") as answer:
        assert answer.status_code == 200
        for piece in answer.iter_raw():
            data += piece
            while (end := data.find(b"\xff\xd9\r\n--frame")) > 0:
                jpeg = data[data.index(b"\xff\xd8") : end + 2]
                found.append(code_of(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)))
                data = data[end + 2 :]
            if len(found) >= count:
                return found
    raise AssertionError("the stream ended")


def test_mjpeg_shows_newer_and_newer_pictures(served):
    found = numbers(served, 5)
    assert found == sorted(set(found))


def test_what_is_said_of_the_picture_and_its_sightings_comes_as_events(served):
    names = set()
    with served.client().stream("GET", "/events") as answer:
        for line in answer.iter_lines():
            names.add(line.removeprefix("event: ") if line.startswith("event") else "")
            if {"info", "state", "sightings"} <= names:
                break
    (sighting,) = served.client().get("/sightings").json()
    assert (sighting["track"], sighting["confidence"]) == (3, 0.9)
    jpeg = served.client().get("/sightings/3.jpg").content
    assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (256, 320, 3)


def test_viewers_that_never_read_hold_up_nobody(served):
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            connection = stack.enter_context(
                socket.create_connection(("127.0.0.1", served.broadcast.address.port))
            )
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            host = f"127.0.0.1:{served.broadcast.address.port}"
            connection.sendall(f"GET /picture.mjpeg HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        served.slowest = 0.0
        found = numbers(served, 10)
    assert found == sorted(set(found))
    assert served.slowest < SHOW_SECONDS


def test_pictures_without_outlines_are_for_those_who_watch(monkeypatch):
    monkeypatch.setattr(conftest, "STATE", conftest.STATE | {"polyps": []})

    def sent_in(served: Served, seconds: float) -> int:
        before = served.broadcast.sent
        time.sleep(seconds)
        return served.broadcast.sent - before

    with contextlib.closing(Served("127.0.0.1:0")) as served:
        assert 1 <= sent_in(served, 2.0) <= 10  # of 40 that were offered
        with served.client().stream("GET", "/picture.mjpeg") as answer:
            pieces = answer.iter_raw()
            end = time.monotonic() + 30
            while sent_in(served, 1.0) <= 10:  # a busy machine's server takes its time
                assert time.monotonic() < end
                next(pieces)
        end = time.monotonic() + 30
        while sent_in(served, 1.0) > 6:
            assert time.monotonic() < end


@pytest.mark.parametrize(
    ("rate", "least", "most"), [(25, 250, 250), (30, 300, 300), (50, 300, 321), (60, 300, 321)]
)
def test_a_page_gets_every_picture_of_a_usual_stream_and_some_of_a_fast_one(rate, least, most):
    pace, late = Pace(), np.random.default_rng(0).uniform(0, 0.02, 10 * rate)
    moments = np.sort(np.arange(10 * rate) / rate + late)
    assert least <= sum(pace.lets(float(moment)) for moment in moments) <= most


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs POSIX signals")
def test_a_server_that_hangs_costs_pictures_of_the_page_alone():
    with contextlib.closing(Served("127.0.0.1:0")) as served:
        process = served.broadcast._process
        os.kill(process.pid, signal.SIGSTOP)
        before = served.broadcast.dropped
        served.slowest, end = 0.0, time.monotonic() + 30
        while served.broadcast.dropped < before + 5:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert served.slowest < SHOW_SECONDS
        begun = time.monotonic()
        served.close()
        assert time.monotonic() - begun < END_SECONDS + SHOW_SECONDS
        assert not process.is_alive()


def test_a_server_that_dies_is_told_once(caplog):
    with contextlib.closing(Served("127.0.0.1:0")) as served:
        served.broadcast._process.kill()
        time.sleep(1.0)
    said = [one.getMessage() for one in caplog.records if "web server" in one.getMessage()]
    assert len(said) == 1
    assert "everything else goes on" in said[0]


@pytest.mark.parametrize(
    ("size", "fits"),
    [((1920, 1080), (1280, 720)), ((1280, 1024), (900, 720)), ((320, 256), (320, 256)),
     ((161, 129), (160, 128)), ((100_000, 10), (1280, 2)), ((3, 3), (2, 2))],
)  # fmt: skip
def test_pictures_are_made_to_fit(size, fits):
    assert fitting(size) == fits


def test_a_picture_knows_its_size():
    assert Picture(1, np.zeros((384, 320), np.uint8), {}, 0.0).size == (320, 256)
