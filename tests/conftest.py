"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the real data sets; skips without it, fails without it under CI=true."""
    if not DATA.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{DATA} is missing, and CI must run the tests that need it")
        pytest.skip(f"real data sets are not at {DATA}")
    return DATA
