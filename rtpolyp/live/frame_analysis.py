"""FrameAnalysis: what the AI plane found in one frame, for the picture plane."""

from dataclasses import dataclass

from rtpolyp.imaging.quality import Quality
from rtpolyp.tracking.alert import Alert
from rtpolyp.video.frame import Segmentation

__all__ = ["FrameAnalysis"]


@dataclass(frozen=True)
class FrameAnalysis:
    """What was found in one frame."""

    segmentation: Segmentation
    alert: Alert
    exits: tuple[tuple[float, float], ...]  # points of the picture's edge, frame pixels, where polyps left it
    quality: Quality
    captured_at: float  # time.monotonic() when that frame left the decoder
    latency_seconds: float  # from then to the result
