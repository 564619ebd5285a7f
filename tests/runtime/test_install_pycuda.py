"""What scripts/install_pycuda.py says of what it finds; CI runs the real thing once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.install_pycuda import HEADERS, headers_for

ROOT = Path(__file__).resolve().parents[2]
NO_DRIVER = "libcuda.so.1: cannot open shared object file: No such file or directory"


@pytest.mark.parametrize(
    ("package", "driver", "code", "said"),
    [
        ("VERSION_TEXT = '2026.1'", "", 0, "pycuda 2026.1 works"),
        (
            "VERSION_TEXT = '2026.1'",
            f"raise ImportError('{NO_DRIVER}')",
            0,
            "pycuda 2026.1 is complete; it lacks only the NVIDIA driver (libcuda.so.1)",
        ),
        (
            "VERSION_TEXT = '2026.1'",
            "raise ImportError('_driver.so: undefined symbol: cuInit')",
            1,
            "pycuda 2026.1 is installed, but import pycuda.driver fails "
            "(ImportError: _driver.so: undefined symbol: cuInit)",
        ),
        ("raise ImportError('torn')", "", 1, "pycuda is not installed (ImportError: torn)"),
    ],
)
def test_check(tmp_path: Path, package: str, driver: str, code: int, said: str):
    (tmp_path / "pycuda").mkdir()
    (tmp_path / "pycuda" / "__init__.py").write_text(package)
    (tmp_path / "pycuda" / "driver.py").write_text(driver)
    done = subprocess.run(
        [sys.executable, "scripts/install_pycuda.py", "--check"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (code, said, "")


@pytest.mark.parametrize(
    ("cuda", "headers"), [(None, "13"), ("13.0", "13"), ("14.1", "13"), ("12.8", "12"), ("11.4", "12")]
)
def test_headers_are_never_newer_than_the_driver_where_there_is_a_choice(cuda: str | None, headers: str):
    assert headers_for(cuda) == headers
    assert headers in HEADERS
