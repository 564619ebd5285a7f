"""A session's page without a browser: what leaves the machine."""

import socket
import threading
import time

import cv2
import httpx
import numpy as np

from rtpolyp.imaging.geometry import Rect
from rtpolyp.live.engines import Engines
from rtpolyp.live.live_options import LiveOptions
from rtpolyp.live.session import run_session
from rtpolyp.settings import Settings
from rtpolyp.video.outputs import Outputs
from tests.runtime.live.scripted import Scripted
from tests.runtime.red_disc import SPEC
from tests.runtime.stub_engine import StubEngine

WAIT_SECONDS = 60.0
SETTINGS = Settings(threshold=0.5, minimum_area=0.001, minimum_confidence=0.0)


class Plain(StubEngine):
    restarts = 0


def one_picture(**options) -> np.ndarray:
    """The first picture by MJPEG of a session whose ground is grey-brown, and everything it says of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    stop = threading.Event()
    chosen = LiveOptions(max_age_ms=2000, serve=f"127.0.0.1:{port}", **options)
    arguments = Scripted(600, rate=5), Engines(Plain(SPEC)), SETTINGS, Outputs(), chosen
    thread = threading.Thread(target=run_session, args=arguments, kwargs={"stop": stop}, daemon=True)
    thread.start()
    try:
        return _picture(port)
    finally:
        stop.set()
        thread.join()


def _picture(port: int) -> np.ndarray:
    end = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            with httpx.stream("GET", f"http://127.0.0.1:{port}/picture.mjpeg", trust_env=False) as answer:
                data = b""
                for piece in answer.iter_raw():
                    data += piece
                    if (last := data.find(b"\xff\xd9\r\n--frame")) > 0:
                        jpeg = np.frombuffer(data[data.index(b"\xff\xd8") : last + 2], np.uint8)
                        return cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        except httpx.TransportError:
            assert time.monotonic() < end
            time.sleep(0.1)


def test_the_page_shows_the_whole_picture():
    assert np.median(one_picture(crop="off")[20:60, 4:30]) > 40


def test_a_deidentified_page_shows_the_endoscopes_picture_alone():
    picture = one_picture(crop=Rect(40, 0, 120, 128), deidentify=True)
    assert np.median(picture[20:60, 4:30]) < 10
    assert np.median(picture[20:60, 60:150]) > 40  # badges and the outline are the smaller part
