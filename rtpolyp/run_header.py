"""What a run writes about itself: the first line of its JSON, and in every snapshot."""

from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.picture import Crop
from rtpolyp.inference.engine import Engine
from rtpolyp.settings import Settings
from rtpolyp.tracking.drift import NOT_WATCHED, DriftWatch
from rtpolyp.video.contract import Source

__all__ = ["run_header"]


def run_header(source: Source, engine: Engine, settings: Settings, crop: Crop) -> dict[str, Any]:
    """What the first line of a JSON file says beside its schema version, and every snapshot's."""
    return {
        "rtpolyp": version("rtpolyp"),
        "source": source.name,
        "size": source.size,
        "start_seconds": source.start_seconds,
        "engine": engine.spec.name,
        "backend": engine.description,
        "sha256": engine.spec.sha256,
        "drift": "watched" if DriftWatch(engine.spec).able else NOT_WATCHED,
        "settings": asdict(settings),
        "crop": asdict(crop) if isinstance(crop, Rect) else crop,
    }
