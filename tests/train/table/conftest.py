from pathlib import Path

import pytest

from tests.train import tiny_encoder
from tests.train.polyps import write_polyps
from tests.train.table.tables import run_table


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_encoder.register(monkeypatch)


@pytest.fixture(scope="session")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with a test part; tests that change it work on a copy."""
    return write_polyps(tmp_path_factory.mktemp("data") / "clinic", test=10)


@pytest.fixture(scope="session")
def finished(clinic: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished table; tests that change it work on a copy."""
    with pytest.MonkeyPatch.context() as patch:
        tiny_encoder.register(patch)
        out = tmp_path_factory.mktemp("tables") / "table"
        assert run_table(out, clinic) == 0
    return out
