import os
from importlib.util import find_spec

import pytest


@pytest.fixture(autouse=True, scope="session")
def extra() -> None:
    """The extra [batch] and moto; without them tests are skipped, and fail under CI=true."""
    missing = [name for name in ("fsspec", "pyarrow", "ray", "moto") if find_spec(name) is None]
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"{missing}: CI must run the tests of rtpolyp batch")
    if missing:
        pytest.skip(f"{missing} are not installed: pip install -e '.[batch,dev]'")
