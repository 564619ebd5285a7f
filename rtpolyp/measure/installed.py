"""Which distributions are installed, without importing any."""

import contextlib
import importlib.metadata

__all__ = ["installed_version"]


def installed_version(distribution: str) -> str | None:
    """Its version; None when it is not installed."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(distribution)
    return None
