import os

import pytest

from rtpolyp.inference.bundle import Bundle, load_bundle
from tests.runtime.tiny_bundle import write_tiny_bundle
from tests.runtime.video.x11 import virtual_display


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny"))


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
