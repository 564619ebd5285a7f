"""Real-time polyp segmentation for colonoscopy video."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtpolyp.inference import open_engine
    from rtpolyp.pipeline import draw, segment, settings_for
    from rtpolyp.video.source import open_source
    from rtpolyp.video.video_sink import VideoSink

__all__ = ["VideoSink", "draw", "open_engine", "open_source", "segment", "settings_for"]

_HOMES = {
    "VideoSink": "rtpolyp.video.video_sink",
    "draw": "rtpolyp.pipeline",
    "open_engine": "rtpolyp.inference",
    "open_source": "rtpolyp.video.source",
    "segment": "rtpolyp.pipeline",
    "settings_for": "rtpolyp.pipeline",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that a tool that needs one room does not load the others."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'rtpolyp' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
