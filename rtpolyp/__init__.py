"""Real-time polyp segmentation for colonoscopy video.

>>> import rtpolyp
>>> model = rtpolyp.load("pranet-if")
>>> result = model(image)                 # (H, W, 3) uint8 BGR, or the path of an image
>>> result.polyps[0].confidence > 0.5
True
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtpolyp.errors import (
        BackendError,
        CorruptPlan,
        EngineBusy,
        EngineError,
        EngineUnavailable,
        ForeignPlan,
        InputError,
        OutputError,
        RtpolypError,
        WrongResult,
    )
    from rtpolyp.imaging.geometry import Rect
    from rtpolyp.imaging.polyp import Polyp
    from rtpolyp.inference import open_engine
    from rtpolyp.library.model import Model, load
    from rtpolyp.library.result import Result
    from rtpolyp.library.session import Session
    from rtpolyp.live.live_options import LiveOptions, LiveSummary
    from rtpolyp.live_run import run_live
    from rtpolyp.pipeline import draw, segment, settings_for
    from rtpolyp.run import FileSummary, run_file
    from rtpolyp.settings import Settings
    from rtpolyp.video.outputs import Outputs
    from rtpolyp.video.source import open_source
    from rtpolyp.video.video_sink import VideoSink

    __version__: str

_HOMES = {
    "FileSummary": "rtpolyp.run",
    "LiveOptions": "rtpolyp.live.live_options",
    "LiveSummary": "rtpolyp.live.live_options",
    "Model": "rtpolyp.library.model",
    "Outputs": "rtpolyp.video.outputs",
    "Polyp": "rtpolyp.imaging.polyp",
    "Rect": "rtpolyp.imaging.geometry",
    "Result": "rtpolyp.library.result",
    "Session": "rtpolyp.library.session",
    "Settings": "rtpolyp.settings",
    "VideoSink": "rtpolyp.video.video_sink",
    "draw": "rtpolyp.pipeline",
    "load": "rtpolyp.library.model",
    "open_engine": "rtpolyp.inference",
    "open_source": "rtpolyp.video.source",
    "run_file": "rtpolyp.run",
    "run_live": "rtpolyp.live_run",
    "segment": "rtpolyp.pipeline",
    "settings_for": "rtpolyp.pipeline",
    "BackendError": "rtpolyp.errors",
    "CorruptPlan": "rtpolyp.errors",
    "EngineBusy": "rtpolyp.errors",
    "EngineError": "rtpolyp.errors",
    "EngineUnavailable": "rtpolyp.errors",
    "ForeignPlan": "rtpolyp.errors",
    "InputError": "rtpolyp.errors",
    "OutputError": "rtpolyp.errors",
    "RtpolypError": "rtpolyp.errors",
    "WrongResult": "rtpolyp.errors",
}

__all__ = [
    "BackendError",
    "CorruptPlan",
    "EngineBusy",
    "EngineError",
    "EngineUnavailable",
    "FileSummary",
    "ForeignPlan",
    "InputError",
    "LiveOptions",
    "LiveSummary",
    "Model",
    "OutputError",
    "Outputs",
    "Polyp",
    "Rect",
    "Result",
    "RtpolypError",
    "Session",
    "Settings",
    "VideoSink",
    "WrongResult",
    "__version__",
    "draw",
    "load",
    "open_engine",
    "open_source",
    "run_file",
    "run_live",
    "segment",
    "settings_for",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that a tool that needs one room does not load the others."""
    if name == "__version__":
        from importlib.metadata import version

        return version("rtpolyp")
    if name not in _HOMES:
        raise AttributeError(f"module 'rtpolyp' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names, for a prompt's completion."""
    return __all__
