"""Fixtures shared by all tests."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rtpolyp.errors import BackendError
from rtpolyp.inference.nvidia_card import find_card
from rtpolyp.inference.tensorrt.flavour import Library, load_flavour

# Before PyTorch is imported. Tests run side by side (pytest -n) on networks of a few weights: threads of
# one would wait for those of the other, and take several times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

PEERS = Path(__file__).resolve().parents[1] / ".venv-peers" / "bin" / "python"
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the real data sets; skips without it, fails without it under CI=true."""
    if not DATA.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{DATA} is missing, and CI must run the tests that need it")
        pytest.skip(f"real data sets are not at {DATA}")
    return DATA


@pytest.fixture(scope="session")
def peers() -> Callable[..., None]:
    """Runs a script of tests/peers by their own Python; skips without it, fails without it under CI=true."""
    if not PEERS.is_file():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{PEERS} is missing, and CI must run the tests that need it")
        pytest.skip(f"tests/peers/requirements.txt is not installed at {PEERS}")

    def run(script: str, *arguments: object) -> None:
        path = Path(__file__).parent / "peers" / script
        command = [str(PEERS), str(path), *map(str, arguments)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, result.stderr[-2000:]

    return run


@pytest.fixture(scope="session")
def tensorrt_rtx() -> Library:
    """TensorRT for RTX, which builds without a card; skips without it, fails without it under CI=true."""
    try:
        return load_flavour("tensorrt-rtx")
    except BackendError as exc:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{exc}; CI must build plans")
        pytest.skip(str(exc))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests that are marked needs_cuda are skipped without a card, and fail under FAIL_WITHOUT_CUDA."""
    if item.get_closest_marker("needs_cuda") and find_card() is None:
        if os.environ.get("FAIL_WITHOUT_CUDA"):
            pytest.fail("no NVIDIA card is visible, and FAIL_WITHOUT_CUDA is set")
        pytest.skip("no NVIDIA card is visible")
