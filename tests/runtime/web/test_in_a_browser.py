"""The live page of a real session in a real browser."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtpolyp.live.engines import Engines
from rtpolyp.live.live_options import LiveOptions
from rtpolyp.live.session import run_session
from rtpolyp.report.writer import write_report
from rtpolyp.settings import Settings
from rtpolyp.video.outputs import Outputs
from tests.runtime.live.scripted import Scripted
from tests.runtime.red_disc import SPEC, textured_disc
from tests.runtime.report.examinations import frame, polyp, write_lines
from tests.runtime.stub_engine import StubEngine

pytestmark = pytest.mark.browser

WAIT_MS = 30_000  # for what takes half a second on a quiet machine
WIDTHS = ((1280, 900), (390, 844))
SERIOUS = ("serious", "critical")
NAME = "<img src=x onerror=alert(1)>.mp4"

# How many pixels of the middle, where no badge is, have the overlay's cyan, and a number that differs from
# picture to picture.
LOOK = """(way) => {
  const from = document.getElementById(way === "mjpeg" ? "image" : "video");
  const canvas = document.createElement("canvas");
  canvas.width = 320; canvas.height = 256;
  const context = canvas.getContext("2d");
  context.drawImage(from, 0, 0, 320, 256);
  const data = context.getImageData(0, 70, 320, 116).data;
  let cyan = 0, sum = 0;
  for (let i = 0; i < data.length; i += 4) {
    cyan += data[i + 1] > data[i] + 50 && data[i + 2] > data[i] + 50;
    sum = (sum * 31 + data[i] + data[i + 1] + data[i + 2]) % 1000003;
  }
  return [cyan, sum];
}"""


class Plain(StubEngine):
    restarts = 0


class Session:
    """A live session with its page, on a thread."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.json = folder / "out.jsonl"
        self._stop = threading.Event()
        source = Scripted(600, rate=8, draw=textured_disc_in_place, size=(320, 256))
        source.name = NAME
        self._arguments = (
            source,
            Engines(Plain(SPEC)),
            Settings(threshold=0.5, minimum_area=0.001, minimum_confidence=0.0),
            Outputs(json=self.json),
            LiveOptions(crop="off", max_age_ms=2000, serve=f"127.0.0.1:{self.port}"),
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._await()

    def lines(self) -> list[dict]:
        """Those of the JSON so far, but for the header."""
        return [json.loads(line) for line in self.json.read_text().splitlines()[1:]]

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        run_session(*self._arguments, stop=self._stop)

    def _await(self) -> None:
        end = time.monotonic() + WAIT_MS / 1000
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("no page")


def textured_disc_in_place(index: int, size: tuple[int, int]):
    """The disc stays in the picture, however long the session; the grain moves."""
    return textured_disc(index % 40, size)


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Iterator[Session]:
    session = Session(tmp_path_factory.mktemp("session"))
    yield session
    session.close()


@pytest.fixture
def page(chromium, session):
    """The live page, as soon as a picture is there by WebRTC; no script may have failed."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.goto(session.url)
    by_webrtc(page)
    yield page
    page.close()
    assert faults == []


def until(page, true: str) -> None:
    """Wait until an expression is true; Playwright's own way would need `eval`, which the policy forbids."""
    end = time.monotonic() + WAIT_MS / 1000
    while not page.evaluate(true):
        assert time.monotonic() < end, true
        page.wait_for_timeout(100)


def by_webrtc(page) -> None:
    """Wait for a picture by WebRTC; on a machine too slow for it in time, ask again for what fell back."""
    end = time.monotonic() + 3 * WAIT_MS / 1000
    while (said := page.locator("#connection").text_content()) != "WebRTC":
        assert time.monotonic() < end, said
        if said == "MJPEG":
            page.select_option("#way", "webrtc")
        page.wait_for_timeout(200)


def look(page, until, way="webrtc") -> tuple[int, int]:
    """Look again and again until what is seen is as `until` wants it."""
    end = time.monotonic() + WAIT_MS / 1000
    while time.monotonic() < end:
        seen = tuple(page.evaluate(LOOK, way))
        if until(*seen):
            return seen
        page.wait_for_timeout(100)
    raise AssertionError(f"last seen: {seen}")


def violations(page) -> list[str]:
    """What axe-core finds serious."""
    from axe_core_python.sync_playwright import Axe

    found = Axe().run(page)["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in SERIOUS]


def test_the_picture_moves_and_carries_the_outline(page):
    _, first = look(page, lambda cyan, _: cyan > 60)
    look(page, lambda cyan, sum: cyan > 60 and sum != first)
    until(page, "document.getElementById('rate').textContent !== '–'")
    assert page.locator("#ai").text_content() == "on"
    assert float(page.locator("#rate").text_content()) > 0


def test_mjpeg_moves_and_carries_the_outline(page):
    page.select_option("#way", "mjpeg")
    _, first = look(page, lambda cyan, _: cyan > 60, "mjpeg")
    look(page, lambda cyan, sum: cyan > 60 and sum != first, "mjpeg")
    page.select_option("#way", "webrtc")
    by_webrtc(page)


def test_each_control_changes_the_running_pipeline_by_keyboard(page, session):
    page.focus("#overlay")
    page.keyboard.press("Space")
    look(page, lambda cyan, _: cyan == 0)
    page.keyboard.press("Space")
    outline, _ = look(page, lambda cyan, _: cyan > 60)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert page.input_value("#style") == "fill"
    look(page, lambda cyan, _: cyan > 2 * outline)
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    end = time.monotonic() + WAIT_MS / 1000
    while session.lines()[-1]["threshold"] != 0.01:
        assert time.monotonic() < end
        time.sleep(0.1)
    page.select_option("#style", "outline")
    page.fill("#threshold", "0.5")


def test_a_sighting_opens_its_frame_and_escape_closes_it(page):
    page.locator("#timeline button").first.wait_for(timeout=WAIT_MS)
    page.locator("#timeline button").first.focus()
    page.keyboard.press("Enter")
    until(page, "document.getElementById('dialog-image').naturalWidth === 320")
    page.keyboard.press("Escape")
    assert not page.locator("#dialog").is_visible()


def test_the_strip_shows_sightings_to_scale_and_opens_them(page):
    page.locator("#strip rect").first.wait_for(timeout=WAIT_MS)
    first, last, x, width, now = page.evaluate(
        """() => { drawStrip(); const bar = document.querySelector("#strip rect"), one = sightings[0];
        return [one.first, one.last, +bar.getAttribute("x"), +bar.getAttribute("width"), now]; }"""
    )
    end = max(now, last, 1)
    assert (x, width) == pytest.approx((1000 * first / end, max(3, 1000 * (last - first) / end)))
    page.locator("#strip rect").first.click()
    until(page, "document.getElementById('dialog-image').naturalWidth === 320")
    page.keyboard.press("Escape")


def test_an_alert_is_told(page):
    page.locator("#alert").wait_for(timeout=WAIT_MS)
    assert page.locator("#alert").text_content().startswith("Polyp #")


def test_a_script_in_the_sources_name_is_text(page):
    until(page, "document.getElementById('source').textContent !== ''")
    assert page.locator("#source").text_content() == NAME
    assert page.locator("#source img").count() == 0


@pytest.mark.parametrize(("width", "height"), WIDTHS)
def test_the_live_page_is_accessible_and_fits(page, width, height):
    page.set_viewport_size({"width": width, "height": height})
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "height"), WIDTHS)
def test_the_report_opens_from_disk_is_accessible_and_fits(chromium, tmp_path, width, height):
    lines = [frame(i, [polyp(1)] if i > 9 else ()) for i in range(60)]
    write_report(write_lines(tmp_path / "out.jsonl", lines), tmp_path / "report.html")
    page = chromium.new_page(viewport={"width": width, "height": height})
    page.goto((tmp_path / "report.html").as_uri())
    page.locator("svg a").first.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#sighting-1"
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
