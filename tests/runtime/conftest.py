import importlib.util
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from rtpolyp.errors import BackendError
from rtpolyp.inference.bundle import Bundle, load_bundle
from scripts.triton_server import server_folder
from tests.runtime.golden_bundle import promise_mask, write_golden_bundle
from tests.runtime.tiny_bundle import write_tiny_bundle
from tests.runtime.video.x11 import virtual_display

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny"))


@pytest.fixture(scope="session")
def golden_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The tiny bundle under the default one's name, with a golden frame."""
    return write_golden_bundle(tmp_path_factory.mktemp("golden") / "pranet-if")


@pytest.fixture
def wrong_bundle(golden_bundle: Bundle, tmp_path: Path) -> Bundle:
    """A bundle whose golden frame had another mask where it was exported."""
    wrong = load_bundle(shutil.copytree(golden_bundle.folder, tmp_path / "wrong"))
    promise_mask(wrong, np.ones((64, 96), bool))
    return wrong


@pytest.fixture(scope="session")
def remote_client() -> None:
    """The extra [remote]; its tests are skipped without it, and fail in CI."""
    if importlib.util.find_spec("tritonclient") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("tritonclient is missing; CI must run the tests of remote engines")
        pytest.skip("the extra [remote] is not installed")


@pytest.fixture(scope="session")
def triton_program() -> None:
    """NVIDIA's Triton server; its tests are skipped without it, and fail in CI."""
    try:
        server_folder()
    except BackendError as exc:
        if os.environ.get("CI") == "true":
            pytest.fail(str(exc))
        pytest.skip(str(exc))


@pytest.fixture(scope="module")
def display():
    """A virtual display; without Xvfb its tests are skipped, and fail in CI."""
    try:
        with virtual_display() as display:
            yield display
    except FileNotFoundError as exc:
        if os.environ.get("CI") == "true":
            pytest.fail(str(exc))
        pytest.skip(str(exc))


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium; its tests are skipped without one, and fail in CI.

    It ends with the module: while Playwright runs, its thread has an event loop, which others may not want.
    """
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium; CI must run the tests in a browser: apt-get install chromium")
        pytest.skip("no Chromium is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
