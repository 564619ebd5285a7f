"""The clip that a benchmark plays: a few frames of it for an engine, all of it as a stream."""

import dataclasses
import itertools
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import View, make_view
from rtpolyp.imaging.picture import PICTURE_FRAMES, PictureFinder
from rtpolyp.measure.benchmark.samples import Schedule
from rtpolyp.spec import EngineSpec
from rtpolyp.video.contract import Source
from rtpolyp.video.frame import Frame
from rtpolyp.video.network_scaler import NetworkScaler
from rtpolyp.video.source import open_source

__all__ = ["HELD", "Arrival", "ClipFeed", "Excerpt", "open_clip", "read_excerpt"]

EVERY, KEPT = 8, 16  # every eighth frame, sixteen of them: five seconds at 25 frames/s
HELD = 4  # frames that a live source holds, as capture drivers commonly do, before it overwrites the oldest


@dataclasses.dataclass(frozen=True)
class Excerpt:
    """Some frames of a clip, and where the endoscope's picture lies in them."""

    frames: tuple[Frame, ...]
    view: View

    def inputs(self) -> list[NDArray[np.uint8]]:
        """What the network would be given for them, each `(1, H, W, 3) uint8 BGR`."""
        scaler = NetworkScaler(self.view)
        return [scaler(frame)[np.newaxis] for frame in self.frames]


def read_excerpt(clip: Path, spec: EngineSpec) -> Excerpt:
    """Decode the clip's beginning. Raises InputError for what is no video."""
    with open_clip(clip) as source:
        finder = PictureFinder()
        kept: list[Frame] = []
        for index, frame in enumerate(itertools.islice(source, EVERY * KEPT)):
            if index < PICTURE_FRAMES:
                finder.add(frame.luma())
            if index % EVERY == 0:
                kept.append(frame)
    return Excerpt(tuple(kept), make_view(kept[0].size, spec.size, finder.picture()))


class Arrival(NamedTuple):
    """One frame that the pipeline was given, in seconds on the clock of time.perf_counter."""

    at: float  # when it was due; where nothing is due, when its decoding began
    decode: float  # how long that took


class ClipFeed:
    """A Source that plays a clip over and over: as fast as frames are taken, or `rate` frames a second.

    At a rate it is a live source: frame i is due `i / rate` seconds after the first, comes no sooner, and is
    dropped when it has not been taken before HELD newer ones are due. A dropped frame is decoded all the
    same, for the next one needs it. Ends after the schedule's warm-up, seconds and iterations, where a
    dropped frame counts: at a rate that the decoder cannot follow, none would ever come through.
    """

    is_sequence = True
    audio = None
    frame_count: int | None = None
    duration_seconds: float | None = None
    start_seconds: float | None = None

    def __init__(self, clip: Path, schedule: Schedule, rate: float | None = None) -> None:
        if rate is not None and not 0 < rate < 10_000:
            raise InputError(f"{rate:g} frames/s is no rate for a stream: give a number such as 25")
        self._source = open_clip(clip)
        self.name, self.path = self._source.name, self._source.path
        self.format, self.size = self._source.format, self._source.size
        self.frame_rate: Fraction | None = self._source.frame_rate
        self.remarks, self.losses = self._source.remarks, self._source.losses
        self._clip, self._schedule, self.rate = clip, schedule, rate
        self.measured_from = 0.0  # time.perf_counter at the end of the warm-up
        self.arrivals: list[Arrival] = []  # of the frames that were taken, in order
        self.dropped: list[float] = []  # when the others were due

    def __iter__(self) -> Iterator[Frame]:
        frames = self._laps()
        start = time.perf_counter()
        self.measured_from = start + self._schedule.warm_up_seconds
        end, measured = self.measured_from + self._schedule.seconds, 0
        for index in itertools.count():
            at = time.perf_counter() if self.rate is None else _await(start + index / self.rate)
            if at >= end and measured >= self._schedule.iterations:
                return
            measured += at >= self.measured_from
            begun = time.perf_counter()
            frame = next(frames)
            if self.rate is not None and begun - at >= HELD / self.rate:
                self.dropped.append(at)
                continue
            self.arrivals.append(Arrival(at, time.perf_counter() - begun))
            yield frame

    def close(self) -> None:
        """Release the clip; later calls do nothing."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _laps(self) -> Iterator[Frame]:
        """The clip without end; each lap's timestamps go on where the last one's stopped."""
        index, offset = 0, 0
        while True:
            first = last = None
            for frame in self._source:
                first = frame if first is None else first
                last = frame
                frame.native.pts = frame.pts + offset
                yield dataclasses.replace(frame, index=index, pts=frame.native.pts, name=f"{index:06d}")
                index += 1
            if first is not None and last is not None:
                offset += last.pts - first.pts + last.native.duration
            self._source.close()
            self._source = open_clip(self._clip)


def open_clip(clip: Path) -> Source:
    """open_source for videos alone: raises InputError for images as well."""
    source = open_source(clip)
    if not source.is_sequence:
        source.close()
        raise InputError(f"{clip}: images have no frame rate; give a video")
    return source


def _await(due: float) -> float:
    time.sleep(max(0.0, due - time.perf_counter()))
    return due
