"""The README's picture of the live page, from the phantom: python scripts/draw_page.py docs/live-page.png

Needs the development install and Chromium. The phantom's clip is played live by `rtpolyp run --serve`, and
the page is taken as it stands once a polyp has been outlined.
"""

import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

from cyclopts import App
from PIL import Image

from rtpolyp.phantom_clip import render_clip
from rtpolyp.terminal.command_line import run_app
from scripts.browser.watch import chromium, installed_chromium

PORT = 8765
SECONDS, SIZE = 16.0, (640, 512)  # small, so that a slow machine draws its outlines in time
RATE = Fraction(10)
PAGE = {"width": 1280, "height": 1080}
COLOURS, WIDTH = 128, 1000

app = App(name="python scripts/draw_page.py", help=__doc__, help_format="plaintext", version_flags=())


@app.default
def main(output: Path, /) -> None:
    """Render, play, take the picture.

    Parameters
    ----------
    output
        The PNG.
    """
    browser = installed_chromium()
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "phantom.mp4"
        render_clip(clip, seconds=SECONDS, size=SIZE, frame_rate=RATE)
        flags = ["--serve", f"127.0.0.1:{PORT}", "--max-age", "1000"]
        command = [sys.executable, "-m", "rtpolyp", "run", str(clip), *flags]
        with chromium(browser) as started:
            run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            try:
                assert run.stderr is not None
                while "live page" not in (line := run.stderr.readline()):
                    if not line:
                        raise SystemExit("the session did not start")
                _take(started, output)
            finally:
                run.terminate()
                run.wait()


def _take(browser: Any, output: Path) -> None:
    page = browser.new_page(viewport=PAGE)
    page.goto(f"http://127.0.0.1:{PORT}/")
    end = time.monotonic() + SECONDS
    while page.locator("#alert").is_hidden() or page.locator("#connection").text_content() != "WebRTC":
        if time.monotonic() > end:
            raise SystemExit("no alert came; give the machine a rest and run it again")
        page.wait_for_timeout(50)
    page.wait_for_timeout(300)
    page.screenshot(path=output)
    with Image.open(output) as taken:
        small = taken.resize((WIDTH, round(taken.height * WIDTH / taken.width)), Image.Resampling.LANCZOS)
        small.convert("RGB").quantize(COLOURS).save(output, optimize=True)
    print(f"wrote {output}: {output.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
