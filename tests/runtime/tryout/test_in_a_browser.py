"""The page for uploads in a real browser."""

import time

import pytest

from tests.runtime.red_disc import disc_clip
from tests.runtime.tryout.conftest import WAIT_SECONDS
from tests.runtime.web.test_in_a_browser import WIDTHS, violations

pytestmark = pytest.mark.browser

NAME = "<img src=x onerror=alert(1)>.mp4"


def test_an_upload_answers_and_is_deleted_when_the_page_closes(chromium, served, tmp_path):
    clip = disc_clip(tmp_path / "clip.mp4", frames=12, size=(160, 128))
    page = chromium.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: faults.append(dialog.message))
    page.goto(served.url)
    upload = {"name": NAME, "mimeType": "video/mp4", "buffer": clip.read_bytes()}
    page.set_input_files("#file", upload)
    page.get_by_role("link", name="Report").wait_for(timeout=1000 * WAIT_SECONDS)
    assert page.locator(".result h2").text_content() == NAME
    assert page.locator(".result h2 img").count() == 0
    end = time.monotonic() + WAIT_SECONDS
    while page.evaluate("document.querySelector('.result video').videoWidth") != 160:
        assert time.monotonic() < end
        page.wait_for_timeout(100)
    for width, height in WIDTHS:
        page.set_viewport_size({"width": width, "height": height})
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    with page.expect_download() as download:
        page.get_by_role("link", name="Report").click()
    assert download.value.suggested_filename == "report.html"
    assert served.files
    page.goto("about:blank")
    while served.files:
        assert time.monotonic() < end + WAIT_SECONDS
        time.sleep(0.1)
    page.close()
    assert faults == []


def test_a_refusal_is_told_in_words(chromium, served):
    page = chromium.new_page()
    page.goto(served.url)
    page.set_input_files(
        "#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"#EXTM3U\n/etc/passwd"}
    )
    page.get_by_text("This is no picture or video").wait_for(timeout=1000 * WAIT_SECONDS)
    page.close()
