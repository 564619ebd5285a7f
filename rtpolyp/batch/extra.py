"""The libraries of the extra [batch], imported when they are needed."""

import importlib
from typing import Any

from rtpolyp.errors import BackendError

__all__ = ["needed"]


def needed(module: str) -> Any:
    """Import a module of pyarrow, fsspec or ray; raises BackendError with the remedy where there is none."""
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        raise BackendError(
            f"rtpolyp batch needs {module.partition('.')[0]} ({exc}); remedy: pip install 'rtpolyp[batch]'"
        ) from exc
