"""Analysis and AiState: what the AI plane gives to the picture plane."""

from dataclasses import dataclass
from typing import Literal

from rtpolyp.imaging.quality import Quality
from rtpolyp.tracking.alert import Alert
from rtpolyp.video.frame import Segmentation

__all__ = ["AiState", "Analysis"]


@dataclass(frozen=True)
class Analysis:
    """What was found in one frame."""

    segmentation: Segmentation
    alert: Alert
    exits: tuple[tuple[float, float], ...]  # points of the picture's edge, frame pixels, where polyps left it
    quality: Quality
    captured_at: float  # time.monotonic() when that frame left the decoder
    latency_seconds: float  # from then to the result


@dataclass(frozen=True)
class AiState:
    """How the AI is."""

    state: Literal["on", "reduced", "off", "starting"]
    reason: str = ""  # a few words for the screen and the log
