"""LiveOptions and LiveSummary: what a live session is asked for, and what it says in the end."""

from dataclasses import dataclass
from pathlib import Path

from rtpolyp.errors import RtpolypError
from rtpolyp.imaging.picture import Crop
from rtpolyp.tracking.alert import DELAY_MS

__all__ = ["LiveOptions", "LiveSummary"]


@dataclass(frozen=True)
class LiveOptions:
    """What a session does beside showing the picture."""

    crop: Crop = "auto"  # where the endoscope's picture lies
    max_age_ms: float = 150.0  # from a frame's capture, until its result is not drawn any more
    alert_delay_ms: float = DELAY_MS  # that a polyp must be outlined without a break
    tone: bool = False  # sound at each alert
    output: Path | None = None  # MP4 of what is shown
    raw: Path | None = None  # the stream as it comes; with deidentify an MP4 without overlay
    json: Path | None = None  # one line a result
    snapshots: Path | None = None  # folder
    deidentify: bool = False  # everything outside the endoscope's picture is black in all that is written
    audio: bool = False  # recorded as well
    metrics: str | None = None  # HOST:PORT or :PORT of Prometheus' text
    log: Path | None = None  # JSON lines of events


@dataclass(frozen=True)
class LiveSummary:
    """How a session went."""

    seconds: float
    lines: tuple[str, ...]  # for people
    written: tuple[Path, ...]
    errors: tuple[RtpolypError, ...]  # of outputs that ended early; what they wrote is whole
