from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.discs import RedEngine, write_discs


@pytest.fixture
def discs(tmp_path: Path) -> Path:
    return write_discs(tmp_path / "discs")


@pytest.fixture
def red_engine() -> Callable[..., RedEngine]:
    return RedEngine
