"""An engine over a video, with or without truth: what was outlined in each frame and what that met."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect, View
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.imaging.postprocess import find_polyps, rasterise
from rtpolyp.imaging.quality import FrameQuality
from rtpolyp.inference.engine import Engine
from rtpolyp.measure.evaluation import Progress
from rtpolyp.measure.metrics import overlap
from rtpolyp.measure.temporal import estimate_flow, warped_iou
from rtpolyp.measure.video_truth import Known, Polyps, Truth
from rtpolyp.pipeline import segment, settings_for
from rtpolyp.settings import Settings
from rtpolyp.tracking.alert import DELAY_MS, AlertPolicy
from rtpolyp.tracking.tracker import PolypTracker
from rtpolyp.video.contract import Source
from rtpolyp.video.frame import Frame
from rtpolyp.video.planes import plane_view

__all__ = ["Observation", "RawProbability", "Tracker", "observe", "untracked"]

NOTHING = Known()
FLOW_SIDE = 256  # pixels, longer side of the pictures between which motion is estimated


# Makes outlines of a stream by (probability, pts_seconds, view, settings), as PolypTracker does.
Outlines = tuple[NDArray[np.uint8], tuple[Polyp, ...]]
Tracker = Callable[[NDArray[np.uint8], float, View, Settings], Outlines]


@dataclass(frozen=True)
class Observation:
    """One frame: its outlines, and what the truth says of them."""

    pts_seconds: float
    outlines: tuple[Rect, ...]
    area: float  # share of the endoscope's picture inside outlines, 0 to 1
    consistency: float  # warped IoU with the frame before; NaN without one or without an outline
    alert: bool  # it is on
    alert_started: bool  # with this very frame
    polyps: tuple[Rect, ...] | None  # of the truth; None where it is not known
    meets: NDArray[np.bool_]  # (polyps, outlines): they share a pixel
    dice: float  # of all outlines with all polyps; NaN without a polyp, or where only boxes are known


def observe(
    source: Source,
    engine: Engine,
    settings: Settings | None = None,
    *,
    known: Known = NOTHING,
    trackers: Mapping[str, Callable[[], Tracker]] | None = None,
    alert_delay_ms: float = DELAY_MS,
    progress: Progress | None = None,
) -> dict[str, list[list[Observation]]]:
    """Run `engine` once over a video; return what each of `trackers` shows, by sequence.

    `settings` is the operating point, the bundle's own by default. `known` gives the polyps of each frame and
    the sequence that it is of; nothing passes from one sequence to the next. `trackers` make a tracker for
    each sequence; the default, "tracked", is PolypTracker and shows what `pipeline.segment` does. Raises
    InputError when truth or sequences do not fit the video.
    """
    if not source.is_sequence:
        raise InputError(f"{source.name}: not a video; give one, or a folder with images/ and masks/")
    truth, sequences = known.truth, known.sequences
    settings = settings or settings_for(engine.spec)
    trackers = trackers or {"tracked": PolypTracker}
    seen: dict[str, list[list[Observation]]] = {name: [] for name in trackers}
    done = 0
    for part in _parts(source, sequences):
        arms = [_Arm(make(), AlertPolicy(alert_delay_ms)) for make in trackers.values()]
        for observations in seen.values():
            observations.append([])
        motion, quality = _Motion(), FrameQuality()
        for frame, found in segment(part, engine, settings, tracker=RawProbability()):
            y, u, v = (plane_view(frame.native, index) for index in range(3))
            scene = _Scene(
                frame.pts_seconds,
                found.view,
                None if truth is None else _polyps(truth, frame, source.name),
                truth is not None and truth.outlined,
                motion(frame),
                quality(y, u, v, frame.pts_seconds, found.view.crop),
            )
            for arm, observations in zip(arms, seen.values(), strict=True):
                _, outlines = arm.tracker(found.probability, found.pts_seconds, found.view, settings)
                observations[-1].append(arm.observe(scene, outlines))
            done += 1
            if progress is not None:
                progress(done, source.frame_count or done)
    for name, count in (("truth", truth and truth.count), ("sequences", sequences and len(sequences))):
        if count is not None and count != done:
            raise InputError(f"{source.name}: {done} frames, but {name} of {count}; give those of this video")
    return seen


def untracked(probability: NDArray[np.uint8], pts_seconds: float, view: View, settings: Settings) -> Outlines:
    """The outlines of each frame alone: a Tracker to compare others with."""
    return probability, find_polyps(probability, view, settings)


class RawProbability(PolypTracker):
    """Leaves the probability as the engine gave it, for those who track what `segment` yields themselves."""

    def __call__(
        self, probability: NDArray[np.uint8], pts_seconds: float, view: View, settings: Settings
    ) -> Outlines:
        """Hand `probability` on, without polyps."""
        return probability, ()


@dataclass(frozen=True)
class _Scene:
    """What a frame shows, whoever outlines it."""

    pts_seconds: float
    view: View
    polyps: Polyps | None
    outlined: bool  # the masks of polyps are outlines, not boxes
    flow: NDArray[np.float32] | None  # (h, w, 2) from the frame before; None in the first one
    quality: str


class _Arm:
    """One tracker's outlines through a sequence."""

    def __init__(self, tracker: Tracker, alerts: AlertPolicy) -> None:
        self.tracker = tracker
        self._alerts = alerts
        self._before: NDArray[np.bool_] | None = None  # the outlines' mask at the flow's size

    def observe(self, scene: _Scene, outlines: Sequence[Polyp]) -> Observation:
        view = scene.view
        size = view.frame_width, view.frame_height
        suppressed_by = None if scene.quality == "clear" else scene.quality
        alert = self._alerts(outlines, scene.pts_seconds, suppressed_by=suppressed_by)
        masks = [rasterise((outline,), size) > 0 for outline in outlines]
        whole = np.logical_or.reduce(masks) if masks else np.zeros(size[::-1], np.bool_)
        small = _shrink(whole.view(np.uint8) * np.uint8(255)) >= 128
        consistency = float("nan")
        if self._before is not None and scene.flow is not None:
            consistency = warped_iou(self._before, small, scene.flow)
        self._before = small
        polyps = scene.polyps or ()
        meets = [[bool((polyp & mask).any()) for mask in masks] for polyp in polyps]
        dice = (
            overlap(whole, np.logical_or.reduce(polyps)).dice if polyps and scene.outlined else float("nan")
        )
        return Observation(
            pts_seconds=scene.pts_seconds,
            outlines=tuple(outline.box for outline in outlines),
            area=int(np.count_nonzero(whole)) / (view.crop.width * view.crop.height),
            consistency=consistency,
            alert=alert.active,
            alert_started=alert.started,
            polyps=None if scene.polyps is None else tuple(map(_box, polyps)),
            meets=np.array(meets, np.bool_).reshape(len(polyps), len(masks)),
            dice=dice,
        )


class _Motion:
    """The optical flow between the frames of a sequence."""

    def __init__(self) -> None:
        self._before: NDArray[np.uint8] | None = None

    def __call__(self, frame: Frame) -> NDArray[np.float32] | None:
        before, self._before = self._before, _shrink(frame.luma())
        return None if before is None else estimate_flow(before, self._before)


class _Part:
    """The frames of one sequence, as a source of their own."""

    is_sequence = True

    def __init__(self, source: Source, frames: Iterator[Frame]) -> None:
        self.name, self.path, self.format, self.audio = source.name, source.path, source.format, source.audio
        self.size, self.frame_rate = source.size, source.frame_rate
        self.frame_count: int | None = None
        self.duration_seconds: float | None = None
        self.start_seconds, self.remarks, self.losses = source.start_seconds, source.remarks, source.losses
        self._frames = frames

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def close(self) -> None:
        """The source is not ours."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _parts(source: Source, sequences: Sequence[str] | None) -> Iterator[Source]:
    """The source cut where the sequence changes; a sequence must be used up before the next is asked for."""
    if sequences is None:
        yield source
        return

    def sequence(frame: Frame) -> str:
        if frame.index >= len(sequences):
            raise InputError(f"{source.name}: frame {frame.index} is in no sequence; list every frame")
        return sequences[frame.index]

    for _, frames in itertools.groupby(source, sequence):
        yield _Part(source, frames)


def _polyps(truth: Truth, frame: Frame, name: str) -> Polyps:
    polyps = next(truth.frames, None)
    if polyps is None:
        raise InputError(f"{name}: more frames than its truth of {truth.count}; give that of the whole video")
    for height, width in {polyp.shape for polyp in polyps} - {frame.size[::-1]}:
        raise InputError(
            f"{name}: {frame.size[0]}x{frame.size[1]} pixels, but its truth has {width}x{height} in frame "
            f"{frame.index}; give it at the video's size"
        )
    return polyps


def _box(mask: NDArray[np.bool_]) -> Rect:
    return Rect(*(int(side) for side in cv2.boundingRect(mask.view(np.uint8))))


def _shrink(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = plane.shape
    scale = min(1.0, FLOW_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)
