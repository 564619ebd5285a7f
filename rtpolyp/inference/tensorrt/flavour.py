"""TensorRT comes in two flavours with one Python API; which are installed, and one of them imported.

TensorRT (`import tensorrt`) runs on all cards and builds only on the card that will run the plan. TensorRT
for RTX (`import tensorrt_rtx`) is for GeForce and RTX workstation cards and builds without any card.
"""

import contextlib
import functools
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from rtpolyp.errors import BackendError
from rtpolyp.inference.local_engine import one_line

__all__ = ["FLAVOURS", "RTX_CAPABILITIES", "Flavour", "Library", "installed_flavours", "load_flavour"]

Flavour = Literal["tensorrt", "tensorrt-rtx"]
FLAVOURS: tuple[Flavour, ...] = get_args(Flavour)

# Compute capabilities that TensorRT for RTX compiles for; it refuses 9.0 and 10.0, the data-centre cards.
RTX_CAPABILITIES = ("sm75", "sm80", "sm86", "sm89", "sm120", "sm121")

MODULES: dict[Flavour, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
# Whose metadata tells the version; the bindings may be installed without NVIDIA's meta package.
DISTRIBUTIONS: dict[Flavour, tuple[str, ...]] = {
    "tensorrt": ("tensorrt", "tensorrt-cu13-bindings", "tensorrt-cu12-bindings"),
    "tensorrt-rtx": ("tensorrt-rtx",),
}
INSTALL: dict[Flavour, str] = {
    "tensorrt": 'pip install "rtpolyp[tensorrt]" --extra-index-url https://pypi.nvidia.com',
    "tensorrt-rtx": 'pip install "rtpolyp[tensorrt-rtx]"',
}


@dataclass(frozen=True)
class Library:
    """One flavour, imported."""

    name: Flavour
    trt: Any  # the module; NVIDIA ships no types
    logger: Any  # trt.ILogger: one for all builders and runtimes of the process, as TensorRT wants it
    _listeners: list[list[str]]

    @property
    def version(self) -> str:
        """E.g. "1.7.1.116"."""
        return str(self.trt.__version__)

    @contextlib.contextmanager
    def complaints(self) -> Iterator[list[str]]:
        """What the library logs as an error within the block, one line each.

        TensorRT returns None or False on failure and says why only to its logger.
        """
        heard: list[str] = []
        self._listeners.append(heard)
        try:
            yield heard
        finally:
            self._listeners[:] = [other for other in self._listeners if other is not heard]


def installed_flavours() -> dict[Flavour, str]:
    """The flavours that are installed, with their versions; imports none of them."""
    return {flavour: version for flavour in FLAVOURS if (version := _installed_version(flavour))}


@functools.cache
def load_flavour(name: Flavour) -> Library:
    """Import a flavour. Raises BackendError, with the pip command, where it is absent or broken."""
    try:
        trt = importlib.import_module(MODULES[name])
        trt.Builder  # noqa: B018 # a folder named tensorrt on the path imports as well
    except (ImportError, AttributeError, OSError, RuntimeError) as exc:
        raise BackendError(f"{name} is not usable ({one_line(exc)}); {INSTALL[name]}") from exc
    listeners: list[list[str]] = []
    return Library(name, trt, _logger(trt, listeners), listeners)


def _installed_version(flavour: Flavour) -> str | None:
    if importlib.util.find_spec(MODULES[flavour]) is None:
        return None
    for distribution in DISTRIBUTIONS[flavour]:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(distribution)
    return None


def _logger(trt: Any, listeners: list[list[str]]) -> Any:
    class Collector(trt.ILogger):  # type: ignore[misc] # its base is known when the module is
        """Errors go to those who listen; the rest is of no use to a user."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)  # pybind11 wants it called by name

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                for heard in list(listeners):
                    heard.append(" ".join(message.split()))

    return Collector()
