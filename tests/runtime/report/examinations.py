"""JSON lines of a run that never was, for the report's tests."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HEADER = {
    "schema": 1,
    "rtpolyp": "0.1.0",
    "source": "clip.mp4",
    "size": [160, 128],
    "engine": "tiny",
    "sha256": {"model.onnx": "ab" * 32},
    "settings": {"threshold": 0.5},
    "crop": "auto",
}


def polyp(
    track: int | None, *, x: float = 40.0, side: float = 20.0, confidence: float = 0.9
) -> dict[str, Any]:
    contour = [[x, 40.0], [x + side, 40.0], [x + side, 40.0 + side], [x, 40.0 + side]]
    box = [int(x), 40, math.ceil(side), math.ceil(side)]
    return {"box": box, "area": side**2, "confidence": confidence, "track": track, "contour": contour}


def frame(index: int, polyps: Iterable[dict[str, Any]] = (), *, rate: float = 25, **changes: Any) -> dict:
    line = {"index": index, "name": f"{index:06d}", "pts": index, "time_base": "1/25"}
    return line | {"pts_seconds": index / rate, "threshold": 0.5, "polyps": list(polyps)} | changes


def write_lines(path: Path, lines: Iterable[dict[str, Any]], **header: Any) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for line in (HEADER | header, *lines):
            file.write(json.dumps(line) + "\n")
    return path
