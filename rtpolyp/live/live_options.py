"""LiveOptions and LiveSummary: how a live session is run, and what it says in the end."""

import math
from dataclasses import dataclass
from pathlib import Path

from rtpolyp.checks import require_bool, require_number
from rtpolyp.errors import InputError, RtpolypError
from rtpolyp.imaging.picture import Crop, check_crop
from rtpolyp.tracking.alert import DELAY_MS

__all__ = ["LiveOptions", "LiveSummary"]


@dataclass(frozen=True)
class LiveOptions:
    """How a live session runs, beside what it writes.

    Raises InputError where a field is not what its line says, or `deidentify` has no crop to go by.
    """

    crop: Crop = "auto"  # where the endoscope's picture lies
    max_age_ms: float = 150.0  # from a frame's capture, until its result is not drawn any more
    alert_delay_ms: float = DELAY_MS  # that a polyp must be outlined without a break
    tone: bool = False  # sound at each alert
    deidentify: bool = False  # everything outside the endoscope's picture is black in all that is written
    metrics: str | None = None  # HOST:PORT or :PORT of Prometheus' text
    serve: str | None = None  # HOST:PORT or :PORT of the live page
    fallback_engine: str | Path | None = None  # a smaller network's bundle, for an engine that cannot keep up

    def __post_init__(self) -> None:
        check_crop(self.crop)
        milliseconds = "milliseconds, e.g. 150"
        require_number("max_age_ms", self.max_age_ms, least=0, below=math.inf, example=milliseconds)
        require_number("alert_delay_ms", self.alert_delay_ms, least=0, below=math.inf, example=milliseconds)
        require_bool("tone", self.tone)
        require_bool("deidentify", self.deidentify)
        if self.deidentify and self.crop == "off":
            raise InputError(
                ": blanks what crop leaves out, and off is nothing; give another crop", parameter="deidentify"
            )


@dataclass(frozen=True)
class LiveSummary:
    """How a session went."""

    seconds: float
    lines: tuple[str, ...]  # for people
    written: tuple[Path, ...]
    errors: tuple[RtpolypError, ...]  # of outputs that ended early; what they wrote is whole
