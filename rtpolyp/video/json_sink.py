"""JsonSink: what was found, one JSON line a frame."""

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError, OutputError
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.video.contract import Source
from rtpolyp.video.file_faults import write_error
from rtpolyp.video.frame import Frame, Segmentation
from rtpolyp.video.output_paths import prepare_file

__all__ = ["SCHEMA", "JsonSink", "describe_polyp", "frames_in", "rounded_contour"]

SCHEMA = 1
EXTENSIONS = (".json", ".jsonl")
# What lines of one file share: figures of two engines or settings must not stand in it side by side.
SAME = ("sha256", "settings", "crop")


class JsonSink:
    """Writes JSON Lines: a header `{"schema": 1, …}` with what the caller gives, a line a frame, a summary.

    A frame's line holds `index`, `name`, `pts` (in ticks of `time_base` seconds), `pts_seconds`, the
    `threshold` it was made with (keys change it in a live session), of an image its `size` [w, h], and
    `polyps`, largest first, each with `box` [x, y, w, h] and `contour` [[x, y], …] in frame pixels (edge
    coordinates, rounded to 0.1), `area` in pixels, `confidence` from 0 to 1 and `track`, the same number in
    all frames that show this polyp (null where images stand alone). The last line, `{"summary": {…}}`, holds
    the number of `frames` above and, of `source`, what was lost and every remark, as `session` what `counts`
    gives, and as `times_ms` what `times` gives: histograms [[upper edge in milliseconds, count], …] by name.
    Every line goes out at once, so an interrupted run leaves whole lines. With `resume`,
    lines are added to those of an earlier run, in place of its summary. Raises OutputError when the file
    cannot be written, InputError when an earlier run's was of another engine or other settings.
    """

    def __init__(
        self,
        path: str | Path,
        header: Mapping[str, Any],
        source: Source | None = None,
        *,
        counts: Callable[[], Mapping[Any, int]] | None = None,
        times: Callable[[], Mapping[Any, Sequence[Sequence[float]]]] | None = None,
        resume: bool = False,
    ) -> None:
        path = Path(path)
        if path.suffix.lower() not in EXTENSIONS:  # and so it can never be the video that is read
            raise OutputError(f"{path}: results are JSON lines; name the file *.jsonl or *.json")
        prepare_file(path)
        self._path = path
        header = {"schema": SCHEMA, **header}
        self._source, self._counts, self._times = source, counts, times
        self._is_closed = self._is_broken = False
        self._size = _lines_to_keep(path, header) if resume else 0  # bytes
        self._written = frames_in(path) if resume else set()
        self._frames = len(self._written)
        try:
            # Unbuffered: each line is one write, and after a failed one nothing is left to fail at close.
            self._file = path.open("r+b" if self._size else "wb", buffering=0)
            if self._size:
                self._file.truncate(self._size)
                self._file.seek(self._size)
        except OSError as exc:
            raise self._error(exc) from exc
        try:
            if not self._size:
                self._write_line(header)
        except OutputError:
            self._file.close()
            raise

    def write(self, frame: Frame, segmentation: Segmentation | None) -> None:
        """Append the frame's line; a frame that was not analysed has none."""
        if segmentation is None or frame.name in self._written:
            return
        line: dict[str, Any] = {
            "index": frame.index,
            "name": frame.name,
            "pts": frame.pts,
            "time_base": str(frame.time_base),
            "pts_seconds": frame.pts_seconds,
            "threshold": segmentation.threshold,
            "polyps": [describe_polyp(polyp) for polyp in segmentation.polyps],
        }
        if self._source is not None and not self._source.is_sequence:
            line["size"] = frame.size  # images have each their own; a video's is in the header
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
                summary = {"frames": self._frames, **asdict(source.losses), "remarks": source.remarks.lines}
                if self._counts is not None:
                    summary["session"] = dict(self._counts())
                if self._times is not None and (times := dict(self._times())):
                    summary["times_ms"] = times
                self._write_line({"summary": summary})

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
        return write_error(self._path, exc)


def frames_in(path: Path) -> set[str]:
    """The names of the frames that a file of JsonSink holds whole lines of; none where there is no file."""
    return {str(line["name"]) for line in _lines(path) if "name" in line}


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file; raises InputError where it is no file of JsonSink."""
    try:
        content = path.read_bytes()
        lines = [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as exc:
        raise InputError(f"{path}: not lines of an earlier run ({exc}); give another file") from exc
    if not all(isinstance(line, dict) for line in lines) or (lines and "schema" not in lines[0]):
        raise InputError(f"{path}: not lines of an earlier run; give another file")
    return lines


def _lines_to_keep(path: Path, header: Mapping[str, Any]) -> int:
    """The bytes of an earlier run's lines without its summary; raises InputError where it ran otherwise."""
    lines = _lines(path)
    if not lines:
        return 0
    plain = json.loads(json.dumps(header))
    if differing := [key for key in SAME if lines[0].get(key) != plain.get(key)]:
        raise InputError(
            f"{path}: an earlier run had another {differing[0]}; leave --resume out, or run with the same"
        )
    content = path.read_bytes()
    if "summary" in lines[-1]:
        content = content[: content.rstrip(b"\n").rfind(b"\n") + 1]
    return content.rfind(b"\n") + 1


def describe_polyp(polyp: Polyp) -> dict[str, Any]:
    """The polyp as JSON holds it, see JsonSink."""
    box = polyp.box
    return {
        "box": [box.x, box.y, box.width, box.height],
        "area": round(polyp.area, 1),
        "confidence": round(polyp.confidence, 4),
        "track": polyp.track,
        "contour": rounded_contour(polyp).tolist(),
    }


def rounded_contour(polyp: Polyp) -> NDArray[np.float64]:
    """The contour `(K, 2)` as JSON holds it, rounded to 0.1 pixels."""
    return np.asarray(np.round(polyp.contour.astype(np.float64), 1), np.float64)
