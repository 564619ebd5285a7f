"""Results of whole streams: files, live sources and arrays."""

import contextlib
from collections.abc import Generator, Iterable

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeIs

from rtpolyp.imaging.picture import Crop
from rtpolyp.inference.engine import Engine
from rtpolyp.library.result import Result
from rtpolyp.library.session import Session, StreamAlerts
from rtpolyp.live.latest import Latest
from rtpolyp.live.source_reader import SourceReader
from rtpolyp.live.telemetry import Telemetry
from rtpolyp.pipeline import segment
from rtpolyp.settings import Settings
from rtpolyp.video.contract import LiveSource, Source
from rtpolyp.video.frame import Frame

__all__ = ["is_live_source", "is_source", "stream_arrays", "stream_file", "stream_live"]


def is_source(source: Source | Iterable[NDArray[np.uint8]]) -> TypeIs[Source]:
    """Whether frames come from a Source, and not arrays from anything else."""
    return hasattr(source, "is_sequence")


def is_live_source(source: Source) -> TypeIs[LiveSource]:
    """Whether frames come on their own clock."""
    return hasattr(source, "interrupt")


def stream_file(
    source: Source,
    engine: Engine,
    settings: Settings,
    crop: Crop,
    alerts: StreamAlerts,
    opened: contextlib.ExitStack,
) -> Generator[Result, None, None]:
    """Results of a file's frames, decoded and inferred ahead as in `rtpolyp run`; closes what is `opened`."""
    with opened, contextlib.closing(segment(source, engine, settings, crop=crop)) as frames:
        for frame, found in frames:
            pts_seconds, quality, alert = None, None, None
            if source.is_sequence:
                pts_seconds = found.pts_seconds
                quality, alert = alerts(frame, found.view, found.polyps, pts_seconds)
            yield Result(
                found.polyps,
                frame.name,
                found.index,
                pts_seconds,
                found.view,
                settings,
                quality,
                alert,
                found.probability,
                frame,
            )


def stream_live(
    source: LiveSource, session: Session, opened: contextlib.ExitStack
) -> Generator[Result, None, None]:
    """Results of a live source's newest frames; closes what is `opened`."""
    newest: Latest[Frame] = Latest()
    reader = SourceReader(source, [newest], "off", Telemetry())  # the session finds the border itself
    with opened:
        reader.start()
        try:
            while (frame := newest.get()) is not None:
                yield session(frame)
        finally:
            reader.close()
        if reader.error is not None:
            raise reader.error


def stream_arrays(
    arrays: Iterable[NDArray[np.uint8]], session: Session, frame_rate: float
) -> Generator[Result, None, None]:
    """Results of arrays that come at a constant rate, each before the next array is asked for."""
    for index, array in enumerate(arrays):
        yield session(array, pts_seconds=index / frame_rate)
