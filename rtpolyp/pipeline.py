"""Frames and an engine in, results out: decoding, inference and what follows overlap.

A producer thread decodes, scales and submits; the engine works on its own threads; the caller's thread
takes results in display order, finds polyps, tracks them and, between two results, draws and encodes. All
queues are bounded, so memory does not grow with the length of a video.
"""

import itertools
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import EngineError, RtpolypError
from rtpolyp.imaging.geometry import Rect, View, make_view
from rtpolyp.imaging.overlay import draw_overlay
from rtpolyp.imaging.picture import PICTURE_FRAMES, Crop, PictureFinder, check_crop
from rtpolyp.imaging.postprocess import find_polyps
from rtpolyp.inference.engine import Engine, Prediction
from rtpolyp.settings import Settings, Style
from rtpolyp.spec import EngineSpec
from rtpolyp.timing import StageTimer
from rtpolyp.tracking.drift import DriftWatch
from rtpolyp.tracking.tracker import PolypTracker
from rtpolyp.video.contract import Source
from rtpolyp.video.frame import Frame, Segmentation
from rtpolyp.video.network_scaler import NetworkScaler

__all__ = ["SegmentedFrame", "await_probability", "draw", "segment", "settings_for"]

AHEAD = 4  # frames decoded beyond those in the engine: hides a slow frame of either side
ENGINE_TIMEOUT_SECONDS = 60.0  # a frame takes milliseconds; this long means a hung native library
IMAGE_SECONDS = 0.1  # of a stream that an image in a folder counts for where drift is watched
STOP_POLL_SECONDS = 0.1  # how soon a blocked producer notices that nobody wants more


class SegmentedFrame(NamedTuple):
    """One frame and what was found in it."""

    frame: Frame
    segmentation: Segmentation


class _Pending(NamedTuple):
    frame: Frame
    view: View
    pixels: NDArray[np.uint8]  # (H, W, 3) BGR, the network's input
    future: "Future[Prediction]"


def settings_for(
    spec: EngineSpec,
    *,
    threshold: float | None = None,
    minimum_area: float | None = None,
    minimum_confidence: float | None = None,
    style: Style = "outline",
    overlay: bool = True,
) -> Settings:
    """Settings at the bundle's own operating point, but for what is given; raises InputError as Settings."""
    return Settings(
        threshold=spec.threshold if threshold is None else threshold,
        minimum_area=spec.minimum_area if minimum_area is None else minimum_area,
        minimum_confidence=spec.minimum_confidence if minimum_confidence is None else minimum_confidence,
        style=style,
        overlay=overlay,
    )


def segment(
    source: Source,
    engine: Engine,
    settings: Settings | None = None,
    *,
    crop: Crop = "auto",
    tracker: PolypTracker | None = None,
    timer: StageTimer | None = None,
) -> Generator[SegmentedFrame, None, None]:
    """Yield a SegmentedFrame for each frame of `source`, in display order.

    `crop` is "auto" (the endoscope's picture, found once from the first frames of a stream), "off" or a
    Rect in frame pixels. `tracker` replaces the default one of streams; images that stand alone are neither
    smoothed nor tracked. `timer` receives the stages decode, resize, engine, wait and postprocess. A stream
    that is unlike everything that the network was trained on is remarked on, once, in `source.remarks`.
    Errors of source and engine surface here, and closing the iterator stops the threads.
    """
    check_crop(crop)
    settings = settings or settings_for(engine.spec)
    timer = timer or StageTimer()
    tracker = (tracker or PolypTracker()) if source.is_sequence else None
    producer = _Producer(source, engine, crop, timer)
    drift = _Drift(source, engine.spec)
    try:
        for frame, view, pixels, future in producer:
            with timer.measure("wait"):
                probability = await_probability(future)
            with timer.measure("postprocess"):
                drift.see(frame, pixels, probability)
                if tracker is None:
                    polyps = find_polyps(probability, view, settings)
                else:
                    probability, polyps = tracker(probability, frame.pts_seconds, view, settings)
            found = Segmentation(
                frame.index, frame.pts_seconds, polyps, probability, view, settings.threshold
            )
            yield SegmentedFrame(frame, found)
    finally:
        producer.close()
        drift.finish()


def draw(result: SegmentedFrame, settings: Settings) -> Frame:
    """The frame with its polyps drawn; the very same frame when there is nothing to draw."""
    if not (settings.overlay and result.segmentation.polyps):
        return result.frame
    drawn, planes = result.frame.writable()
    draw_overlay(planes, result.segmentation.polyps, settings, full_range=drawn.full_range)
    return drawn


def await_probability(future: "Future[Prediction]") -> NDArray[np.uint8]:
    """The map `(h, w) uint8` of a request of one frame; raises EngineError where none comes in a minute."""
    try:
        prediction = future.result(ENGINE_TIMEOUT_SECONDS)
    except FutureTimeout as exc:
        raise EngineError(
            f"the engine gave no answer within {ENGINE_TIMEOUT_SECONDS:.0f} s: "
            "try another backend or precision"
        ) from exc
    probability: NDArray[np.uint8] = prediction.probability[0]
    return probability


class _Drift:
    """Remarks once, on its source, that it is unlike the training sources."""

    def __init__(self, source: Source, spec: EngineSpec) -> None:
        self._source, self._watch, self._told = source, DriftWatch(spec), False

    def see(self, frame: Frame, pixels: NDArray[np.uint8], probability: NDArray[np.uint8]) -> None:
        is_sequence = self._source.is_sequence
        seconds = frame.pts_seconds if is_sequence else frame.index * IMAGE_SECONDS
        self._say(self._watch(pixels, probability, seconds))

    def finish(self) -> None:
        self._say(self._watch.finish())

    def _say(self, how: str | None) -> None:
        if how is not None and not self._told:
            self._told = True
            self._source.remarks.say(f"unlike what {self._watch.bundle} was trained on: {how}")


class _Producer:
    """Decodes, scales and submits on a thread of its own; iterating gives what was submitted, in order."""

    def __init__(self, source: Source, engine: Engine, crop: Crop, timer: StageTimer) -> None:
        self._source, self._engine, self._crop, self._timer = source, engine, crop, timer
        self._slots = threading.Semaphore(engine.capacity)
        self._queue: queue.Queue[_Pending | BaseException | None] = queue.Queue(engine.capacity + AHEAD)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rtpolyp-producer", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[_Pending]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            for frame, view, scaler in self._viewed(self._timed_frames()):
                with self._timer.measure("resize"):
                    pixels = scaler(frame)
                if not self._retry(lambda: self._slots.acquire(timeout=STOP_POLL_SECONDS)):
                    return
                submitted_at = time.perf_counter()
                future = self._engine.submit(pixels[np.newaxis])
                future.add_done_callback(partial(self._finished, submitted_at))
                if not self._put(_Pending(frame, view, pixels, future)):
                    return
            self._put(None)
        except BaseException as exc:  # every failure belongs to the consumer, who re-raises it
            self._put(exc)

    def _finished(self, submitted_at: float, future: "Future[Prediction]") -> None:
        self._timer.add("engine", time.perf_counter() - submitted_at)
        self._slots.release()

    def _timed_frames(self) -> Iterator[Frame]:
        frames = iter(self._source)
        while True:
            start = time.perf_counter()
            frame = next(frames, None)
            if frame is None:
                return
            self._timer.add("decode", time.perf_counter() - start)
            yield frame

    def _viewed(self, frames: Iterator[Frame]) -> Iterator[tuple[Frame, View, NetworkScaler]]:
        """Pair frames with their view: one for a whole stream, one an image for images."""
        spec, is_sequence = self._engine.spec, self._source.is_sequence
        enough = PICTURE_FRAMES if is_sequence and self._crop == "auto" else 1  # a live stream need not wait
        while True:
            head, failure = _take(frames, enough)
            if head:
                view = make_view(head[0].size, spec.size, self._crop_of(head))
                scaler = NetworkScaler(view)
                yield from ((frame, view, scaler) for frame in head)
            if failure is not None:
                raise failure
            if not head:
                return
            if is_sequence:
                yield from ((frame, view, scaler) for frame in frames)

    def _crop_of(self, frames: list[Frame]) -> Rect | None:
        if isinstance(self._crop, Rect):
            return self._crop
        if self._crop == "off":
            return None
        finder = PictureFinder()
        for frame in frames:
            finder.add(frame.luma())
        return finder.picture()

    def _put(self, item: _Pending | BaseException | None) -> bool:
        def try_once() -> bool:
            try:
                self._queue.put(item, timeout=STOP_POLL_SECONDS)
            except queue.Full:
                return False
            return True

        return self._retry(try_once)

    def _retry(self, attempt: Callable[[], bool]) -> bool:
        """Repeat a bounded wait until it succeeds or the consumer has gone away."""
        while not self._stop.is_set():
            if attempt():
                return True
        return False


def _take(frames: Iterator[Frame], count: int) -> tuple[list[Frame], RtpolypError | None]:
    """Up to `count` frames, and what broke the stream off before: the frames until then are good."""
    taken: list[Frame] = []
    try:
        taken.extend(itertools.islice(frames, count))
    except RtpolypError as exc:
        return taken, exc
    return taken, None
