"""survey: one pass over a video, which keeps the best frame of each stretch and no picture."""

import contextlib
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect, make_view
from rtpolyp.imaging.near_duplicates import contrast_map
from rtpolyp.imaging.picture import Crop
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.imaging.quality import FrameQuality, judge
from rtpolyp.inference.engine import Engine
from rtpolyp.measure.video_evaluation import RawProbability
from rtpolyp.pipeline import SegmentedFrame, await_probability, segment, settings_for
from rtpolyp.suggest.doubts import BLINK_SECONDS, LEAST, Doubt, DoubtWatch
from rtpolyp.tracking.tracker import PolypTracker
from rtpolyp.video.contract import Source
from rtpolyp.video.frame import Frame
from rtpolyp.video.network_scaler import NetworkScaler
from rtpolyp.video.planes import plane_view

__all__ = ["Candidate", "Networks", "Survey", "survey"]

STRETCH_SECONDS = 0.5  # of a video of which one frame is kept, at first
RATE = 25.0  # frames per second of a stream that does not say


class Networks(NamedTuple):
    """The two engines whose doubts are looked for."""

    first: Engine  # its outlines are proposed
    second: Engine


@dataclass(frozen=True, eq=False)
class Candidate:
    """What is kept of a frame that may be chosen; its picture is decoded again."""

    index: int  # in the video, from 0
    seconds: float
    doubts: dict[Doubt, float]
    contrast: NDArray[np.float32]  # what near-duplicates are found by, see rtpolyp.imaging.near_duplicates
    polyps: tuple[Polyp, ...]  # as a run outlines them

    @property
    def reasons(self) -> tuple[Doubt, ...]:
        """The doubts that are large enough to be one, largest first."""
        held = [name for name, value in self.doubts.items() if value >= LEAST]
        return tuple(sorted(held, key=lambda name: -self.doubts[name]))

    @property
    def score(self) -> float:
        """0 without a reason, else up to 1: each reason takes its part of what is left of certainty."""
        return 1 - float(np.prod([1 - self.doubts[name] for name in self.reasons]))


@dataclass(frozen=True, eq=False)
class Survey:
    """What one video offers."""

    candidates: tuple[Candidate, ...]  # in the order of time
    usable_seconds: float  # of frames that are neither blurred, frozen nor outside the body
    picture: Rect | None  # what the networks saw, in frame pixels; None without a frame
    is_whole: bool  # the picture is the whole frame
    problem: str | None  # a line, where the video breaks off


def survey(
    source: Source,
    networks: Networks,
    *,
    crop: Crop,
    most: int,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> Survey:
    """Judge every frame of a video and keep the best ones, at most `most`.

    The time is cut into stretches of STRETCH_SECONDS, doubled as often as `most` demands, and the frame with
    the highest score of each is kept. Where the video breaks off, `problem` says so: what is before is good.
    Raises EngineError.
    """
    shortlist, waiting = _Shortlist(most), deque[Candidate]()
    usable, picture, is_whole, problem = 0, None, False, None
    results = segment(source, networks.first, crop=crop, tracker=RawProbability())
    with contextlib.closing(results):
        try:
            for done, (result, candidate) in enumerate(_judged(results, networks), 1):
                view = result.segmentation.view
                picture, is_whole = view.crop, (view.crop.width, view.crop.height) == result.frame.size
                if candidate is not None:
                    usable += 1
                    waiting.append(candidate)
                while waiting and waiting[0].seconds < result.frame.pts_seconds - BLINK_SECONDS:
                    shortlist.add(waiting.popleft())
                if on_progress is not None:
                    on_progress(done, source.frame_count)
        except InputError as exc:
            problem = " ".join(str(exc).split())
    for candidate in waiting:
        shortlist.add(candidate)
    seconds = usable / float(source.frame_rate or RATE)
    return Survey(shortlist.candidates(), seconds, picture, is_whole, problem)


def _judged(
    results: Generator[SegmentedFrame, None, None], networks: Networks
) -> Generator[tuple[SegmentedFrame, Candidate | None], None, None]:
    """Each frame, with None where it is not fit for a label."""
    first, second = (settings_for(network.spec) for network in networks)
    watch, tracker, quality = DoubtWatch(first, second), PolypTracker(), FrameQuality()
    scaler: NetworkScaler | None = None
    for result in results:
        frame, found = result
        picture = found.view.crop
        if scaler is None:
            scaler = NetworkScaler(make_view(frame.size, networks.second.spec.size, picture))
        other = await_probability(networks.second.submit(scaler(frame)[np.newaxis]))
        doubts = watch(found.probability, other, frame.pts_seconds)
        _, polyps = tracker(found.probability, frame.pts_seconds, found.view, first)
        candidate = None
        if _is_fit(frame, picture, quality):
            luma = frame.luma()[_part(picture)]
            candidate = Candidate(frame.index, frame.pts_seconds, doubts, contrast_map(luma), polyps)
        yield result, candidate


def _is_fit(frame: Frame, picture: Rect, quality: FrameQuality) -> bool:
    """Clear in itself, and in a stream that is: what is frozen shows only over time."""
    y, u, v = (plane_view(frame.native, plane) for plane in range(3))
    steady = quality(y, u, v, frame.pts_seconds, picture)
    half = _part(Rect(picture.x // 2, picture.y // 2, picture.width // 2, picture.height // 2))
    return steady == "clear" and judge(y[_part(picture)], u[half], v[half]) == "clear"


def _part(rect: Rect) -> tuple[slice, slice]:
    return slice(rect.y, rect.y + rect.height), slice(rect.x, rect.x + rect.width)


class _Shortlist:
    """The best frame of each stretch of time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._stretch = STRETCH_SECONDS
        self._best: dict[int, Candidate] = {}

    def add(self, candidate: Candidate) -> None:
        self._keep(candidate)
        while len(self._best) > self._most:
            self._stretch *= 2
            kept, self._best = self._best, {}
            for one in kept.values():
                self._keep(one)

    def candidates(self) -> tuple[Candidate, ...]:
        return tuple(sorted(self._best.values(), key=lambda one: one.index))

    def _keep(self, candidate: Candidate) -> None:
        best = self._best.setdefault(int(candidate.seconds // self._stretch), candidate)
        if candidate.score > best.score:
            self._best[int(candidate.seconds // self._stretch)] = candidate
