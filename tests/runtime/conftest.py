import pytest

from rtpolyp.inference.bundle import Bundle, load_bundle
from tests.runtime.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny"))
