"""Who watches: a Chromium that notes when it painted which counter, and clients that do not decode."""

import contextlib
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from rtpolyp.errors import RtpolypError

__all__ = ["chromium", "installed_chromium", "painting", "readers"]

# For each picture that is painted, the counter in it and the wall clock. The row is that of
# rtpolyp/verify/counter.py: cells of 16 pixels from (16, 16) on, 12 bits and an odd parity.
WATCH = """(way) => {
  const from = document.getElementById(way === "mjpeg" ? "image" : "video");
  const canvas = document.createElement("canvas");
  canvas.width = 13; canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  window.seen = [];
  let last = -1;
  const look = () => {
    const wall = performance.timeOrigin + performance.now();
    const width = from.videoWidth || from.naturalWidth;
    if (width > 0) {
      context.drawImage(from, 16, 20, 208, 8, 0, 0, 13, 1);
      const data = context.getImageData(0, 0, 13, 1).data;
      let number = 0, ones = 0;
      for (let bit = 0; bit < 13; bit++) {
        const lit = data[4 * bit + 1] > 84;
        ones += lit;
        if (lit && bit < 12) number += 2 ** bit;
      }
      if (ones % 2 === 1 && number !== last) { window.seen.push([number, wall]); last = number; }
    }
    next();
  };
  const next = () => {
    if (way === "mjpeg") requestAnimationFrame(look); else from.requestVideoFrameCallback(look);
  };
  next();
}"""
CLOCK = "performance.timeOrigin + performance.now()"
CLOCK_ROUNDS = 20
CONNECT_SECONDS, SETTLE_SECONDS = 60, 3


@contextlib.contextmanager
def chromium(path: str) -> Iterator[Any]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def installed_chromium() -> str:
    """The path of the Chromium on this machine. Raises RtpolypError without one."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise RtpolypError("no Chromium is installed: apt-get install chromium")
    return path


@contextlib.contextmanager
def painting(path: str, url: str, way: str) -> Iterator[Callable[[float], list[tuple[int, float]]]]:
    """A Chromium that shows the page's picture by `way`.

    Gives a function that watches for some seconds: (counter, time.time() of its painting) of each picture.
    """
    with chromium(path) as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url + ("?mjpeg" if way == "mjpeg" else ""))
        wanted = "MJPEG" if way == "mjpeg" else "WebRTC"
        end = time.monotonic() + CONNECT_SECONDS
        while (said := page.locator("#connection").text_content()) != wanted:
            if time.monotonic() > end:
                raise TimeoutError(f"no picture by {wanted}")
            if said == "MJPEG":  # a slow machine fell back to it
                page.select_option("#way", "webrtc")
            page.wait_for_timeout(100)
        page.wait_for_timeout(1000 * SETTLE_SECONDS)

        def watch(seconds: float) -> list[tuple[int, float]]:
            offset = _offset(page)
            page.evaluate(WATCH, way)
            page.wait_for_timeout(1000 * seconds)
            return [(int(number), wall / 1000 + offset) for number, wall in page.evaluate("window.seen")]

        yield watch


def _offset(page: Any) -> float:
    """time.time() less the page's clock, seconds, from the quickest of some questions."""
    best = (float("inf"), 0.0)
    for _ in range(CLOCK_ROUNDS):
        before = time.time()
        theirs = page.evaluate(CLOCK) / 1000
        after = time.time()
        best = min(best, (after - before, (before + after) / 2 - theirs))
    return best[1]


@contextlib.contextmanager
def readers(port: int, reading: int, stuck: int) -> Iterator[list[int]]:
    """Clients of the MJPEG stream that throw away what they read, and some that never read.

    Gives the bytes that each of the first has read, which go on growing.
    """
    read = [0] * reading
    with contextlib.ExitStack() as stack:
        for index in range(reading + stuck):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall(f"GET /picture.mjpeg HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            if index < reading:
                threading.Thread(target=_drain, args=(connection, read, index), daemon=True).start()
        yield read


def _drain(connection: socket.socket, read: list[int], index: int) -> None:
    with contextlib.suppress(OSError):
        while piece := connection.recv(1 << 16):
            read[index] += len(piece)
