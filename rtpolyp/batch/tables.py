"""The Parquet tables of a batch: their columns, written and read back, with a version that is checked.

`frames` has a row a frame, `detections` a row a frame and polyp, and a chunk's table, which is gone once its
video is whole, a row a frame with its polyps as JSON. Each file says its version and what the first line of a
run's JSON says in its metadata, under `rtpolyp`.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtpolyp.batch.extra import needed
from rtpolyp.errors import InputError

__all__ = ["TABLES_SCHEMA", "FoundFrame", "read_chunk", "read_video", "tables_of", "write_chunk"]

TABLES_SCHEMA = 1  # grows with every change of a column
KEY = b"rtpolyp"  # of the metadata


@dataclass(frozen=True)
class FoundFrame:
    """One frame that was analysed."""

    pts: int  # ticks
    quality: str  # clear, blurred, outside or frozen
    polyps: tuple[Mapping[str, Any], ...]  # as `video.json_sink.describe_polyp` gives them, largest first


def write_chunk(frames: Sequence[FoundFrame], about: Mapping[str, Any]) -> bytes:
    """A chunk's frames as a Parquet file."""
    columns: dict[str, list[Any]] = {
        "pts": [frame.pts for frame in frames],
        "quality": [frame.quality for frame in frames],
        "polyps": [json.dumps(frame.polyps) for frame in frames],
    }
    pa = needed("pyarrow")
    schema = pa.schema({"pts": pa.int64(), "quality": pa.string(), "polyps": pa.string()})
    return _written(columns, schema, about)


def read_chunk(content: bytes, name: str) -> tuple[list[FoundFrame], dict[str, Any]]:
    """The frames of a chunk, and what was told about it; raises InputError as `read_video`."""
    table, about = _read(content, name)
    rows = table.to_pylist()
    return [FoundFrame(row["pts"], row["quality"], tuple(json.loads(row["polyps"]))) for row in rows], about


def tables_of(
    video: str, frames: Sequence[FoundFrame], seconds: Sequence[float], about: Mapping[str, Any]
) -> dict[str, bytes]:
    """A video's two tables as Parquet files, by `frames` and `detections`; `seconds` are the frames' pts."""
    pa = needed("pyarrow")
    by_frame = {
        "video": pa.string(),
        "frame": pa.int64(),
        "pts": pa.int64(),
        "pts_seconds": pa.float64(),
    }
    plain = {**by_frame, "quality": pa.string(), "polyps": pa.int32()}
    found = {
        **by_frame,
        "track": pa.int32(),
        "confidence": pa.float64(),
        "area": pa.float64(),
        **dict.fromkeys(("x", "y", "width", "height"), pa.int32()),
        "contour": pa.list_(pa.float32()),
    }
    rows: dict[str, list[Any]] = {name: [] for name in plain}
    polyps: dict[str, list[Any]] = {name: [] for name in found}
    for index, (frame, at) in enumerate(zip(frames, seconds, strict=True)):
        common = video, index, frame.pts, at
        _append(rows, (*common, frame.quality, len(frame.polyps)))
        for polyp in frame.polyps:
            contour = [side for point in polyp["contour"] for side in point]
            measured = polyp["track"], polyp["confidence"], polyp["area"], *polyp["box"]
            _append(polyps, (*common, *measured, contour))
    return {
        "frames": _written(rows, pa.schema(plain), about),
        "detections": _written(polyps, pa.schema(found), about),
    }


def read_video(
    frames: bytes, detections: bytes, name: str
) -> tuple[list[FoundFrame], list[float], dict[str, Any]]:
    """The frames of a video's two tables, their seconds, and what the tables say about the run.

    Raises InputError for a file that is no such table, and for one of another version.
    """
    table, about = _read(frames, name)
    rows = table.to_pylist()
    polyps: dict[int, list[dict[str, Any]]] = {}
    for row in _read(detections, name)[0].to_pylist():
        contour = row["contour"]
        polyps.setdefault(row["frame"], []).append(
            {
                "box": [row[side] for side in ("x", "y", "width", "height")],
                "area": row["area"],
                "confidence": row["confidence"],
                "track": row["track"],
                "contour": [list(pair) for pair in zip(contour[::2], contour[1::2], strict=True)],
            }
        )
    found = [FoundFrame(row["pts"], row["quality"], tuple(polyps.get(row["frame"], ()))) for row in rows]
    return found, [row["pts_seconds"] for row in rows], about


def _append(columns: Mapping[str, list[Any]], row: Sequence[Any]) -> None:
    for column, value in zip(columns.values(), row, strict=True):
        column.append(value)


def _written(columns: Mapping[str, Sequence[Any]], schema: Any, about: Mapping[str, Any]) -> bytes:
    about = {"schema": TABLES_SCHEMA, **about}
    schema = schema.with_metadata({KEY: json.dumps(about, sort_keys=True).encode()})
    buffer = io.BytesIO()
    table = needed("pyarrow").table(columns, schema=schema)
    needed("pyarrow.parquet").write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _read(content: bytes, name: str) -> tuple[Any, dict[str, Any]]:
    pa = needed("pyarrow")
    try:
        table = needed("pyarrow.parquet").read_table(pa.BufferReader(content))
        about = json.loads((table.schema.metadata or {})[KEY])
        schema = about["schema"]
    except (pa.ArrowInvalid, OSError, KeyError, ValueError) as exc:
        raise InputError(f"{name}: no table of rtpolyp batch; delete it, and run again") from exc
    if schema != TABLES_SCHEMA:
        raise InputError(
            f"{name}: is of schema {schema}, and this version reads {TABLES_SCHEMA}; give another -o"
        )
    return table, about
