from collections.abc import Iterator
from pathlib import Path

import pytest

from rtpolyp.inference.bundle import Bundle, load_bundle
from tests.runtime.kserve_server import Server, kserve_server
from tests.runtime.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="session")
def breakable_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundles") / "breakable"
    return load_bundle(write_tiny_bundle(folder, breakable=True))


@pytest.fixture(scope="session")
def kserve(remote_client: None, bundle: Bundle) -> Iterator[Server]:
    """A server of the tiny bundle."""
    with kserve_server(bundle.folder) as server:
        yield server


@pytest.fixture
def own_copy(tmp_path: Path) -> Path:
    """A bundle's folder that a test may damage."""
    return write_tiny_bundle(tmp_path / "tiny")
