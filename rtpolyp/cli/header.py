"""What the first line of a JSON file says, and every snapshot's."""

from dataclasses import asdict
from importlib.metadata import version

from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.picture import Crop
from rtpolyp.inference.engine import Engine
from rtpolyp.settings import Settings
from rtpolyp.video.contract import Source

__all__ = ["header"]


def header(source: Source, engine: Engine, settings: Settings, crop: Crop) -> dict[str, object]:
    """What the JSONL's first line says beside its schema version."""
    return {
        "rtpolyp": version("rtpolyp"),
        "source": source.name,
        "size": source.size,
        "start_seconds": source.start_seconds,
        "engine": engine.spec.name,
        "backend": engine.description,
        "sha256": engine.spec.sha256,
        "settings": asdict(settings),
        "crop": asdict(crop) if isinstance(crop, Rect) else crop,
    }
