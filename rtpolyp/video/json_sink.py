"""JsonSink: what was found, one JSON line a frame."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import Self

from rtpolyp.errors import OutputError
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.video.contract import Source
from rtpolyp.video.frame import Frame, Segmentation
from rtpolyp.video.output_paths import prepare_file

__all__ = ["SCHEMA", "JsonSink", "describe_polyp"]

SCHEMA = 1
EXTENSIONS = (".json", ".jsonl")


class JsonSink:
    """Writes JSON Lines: a header `{"schema": 1, …}` with what the caller gives, a line a frame, a summary.

    A frame's line holds `index`, `name`, `pts` (in ticks of `time_base` seconds), `pts_seconds`, the
    `threshold` it was made with (keys change it in a live session) and `polyps`, largest first, each with
    `box` [x, y, w, h] and `contour` [[x, y], …] in frame pixels (edge coordinates, rounded to 0.1), `area` in
    pixels, `confidence` from 0 to 1 and `track`, the same number in all frames that show this polyp (null
    where images stand alone). The last line, `{"summary": {…}}`, holds the number of `frames` above and, of
    `source`, what was lost and every remark. Every line goes out at once, so an interrupted run leaves whole
    lines. Raises OutputError when the file cannot be written.
    """

    def __init__(self, path: str | Path, header: Mapping[str, Any], source: Source | None = None) -> None:
        path = Path(path)
        if path.suffix.lower() not in EXTENSIONS:  # and so it can never be the video that is read
            raise OutputError(f"{path}: results are JSON lines; name the file *.jsonl or *.json")
        prepare_file(path)
        self._path = path
        self._source = source
        self._frames = 0
        self._is_closed = self._is_broken = False
        self._size = 0  # bytes of whole lines
        try:
            # Unbuffered: each line is one write, and after a failed one nothing is left to fail at close.
            self._file = path.open("wb", buffering=0)
        except OSError as exc:
            raise self._error(exc) from exc
        try:
            self._write_line({"schema": SCHEMA, **header})
        except OutputError:
            self._file.close()
            raise

    def write(self, frame: Frame, segmentation: Segmentation | None) -> None:
        """Append the frame's line; a frame that was not analysed has none."""
        if segmentation is None:
            return
        line = {
            "index": frame.index,
            "name": frame.name,
            "pts": frame.pts,
            "time_base": str(frame.time_base),
            "pts_seconds": frame.pts_seconds,
            "threshold": segmentation.threshold,
            "polyps": [describe_polyp(polyp) for polyp in segmentation.polyps],
        }
        self._write_line(line)
        self._frames += 1

    def close(self) -> None:
        """Write the summary and close the file; later calls do nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        source = self._source
        with self._file:
            if source is not None and not self._is_broken:
                lost = asdict(source.losses)
                remarks = source.remarks.lines
                self._write_line({"summary": {"frames": self._frames, **lost, "remarks": remarks}})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _write_line(self, values: Mapping[str, Any]) -> None:
        line = json.dumps(values).encode() + b"\n"
        rest = line
        try:
            while rest:  # a nearly full disk takes a part and fails at the next
                rest = rest[self._file.write(rest) :]
        except OSError as exc:
            self._is_broken = True  # the error is told now; the summary would meet the same one
            with contextlib.suppress(OSError):
                self._file.truncate(self._size)  # back to the last whole line
            raise self._error(exc) from exc
        self._size += len(line)

    def _error(self, exc: OSError) -> OutputError:
        return OutputError(
            f"{self._path}: cannot be written ({exc.strerror}); make room or give another path"
        )


def describe_polyp(polyp: Polyp) -> dict[str, Any]:
    """The polyp as JSON holds it, see JsonSink."""
    box = polyp.box
    return {
        "box": [box.x, box.y, box.width, box.height],
        "area": round(polyp.area, 1),
        "confidence": round(polyp.confidence, 4),
        "track": polyp.track,
        "contour": np.round(polyp.contour.astype(np.float64), 1).tolist(),
    }
