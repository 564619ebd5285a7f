"""The contract of a backend: what `open_engine` opens a bundle with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.engine import Engine, Goal
from rtpolyp.inference.nvidia_card import Card

__all__ = ["AUTO", "Backend", "EngineOptions"]

AUTO = "auto"  # a backend or precision that is to be chosen


@dataclass(frozen=True)
class EngineOptions:
    """How an engine is opened, whatever its backend."""

    optimise_for: Goal
    threads: int | None  # processor threads in all; None: all there are
    batch: int  # most frames of a submit
    cache: Path  # folder for what is measured or compiled once


class Backend(Protocol):
    """A library on a device. It imports nothing foreign before it is asked for something.

    A new one is a file of its own, which ends in an instance, and a line of `rtpolyp.inference.backends`.
    """

    @property
    def name(self) -> str:
        """As `open_engine` and the flag --backend take it; engines have it as `Engine.backend`."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """All that it can compute in, on whatever machine and bundle."""

    @property
    def probe_precision(self) -> str:
        """The one that opens without measuring which is fastest, for a look whether it works."""

    @property
    def resizable(self) -> bool:
        """Whether it runs a bundle at another input size than the bundle's own."""

    def suits(self, bundle: Bundle, card: Card | None) -> bool:
        """Whether "auto" tries it on this machine, whose NVIDIA card is `card`."""

    def open(self, bundle: Bundle, precision: str, options: EngineOptions) -> Engine:
        """Open a bundle; `precision` "auto" is the fastest.

        Raises EngineError, BackendError above all, where that cannot work.
        """
