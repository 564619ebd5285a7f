"""How outlines behave over time: flicker, consistency, delay and false activations of one sequence.

Pure functions on boxes, masks and times, no engine and no video. A sequence is what one camera saw without a
cut; nothing here ever looks across two of them, callers add up what each gave. Outlines are followed by their
place and not by the tracker's ids, so that a tracker is judged by what a person sees, and no tracker as well.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import Rect

__all__ = [
    "ACTIVATION_FRAMES",
    "ACTIVATION_SECONDS",
    "RETURN_SECONDS",
    "Appearance",
    "Chain",
    "activations",
    "chains",
    "estimate_flow",
    "flicker_rate",
    "frame_seconds",
    "returns",
    "warped_iou",
]

ACTIVATION_FRAMES = 1, 6  # any frame; and what is left without the briefest, see `activations`
ACTIVATION_SECONDS = 0.5, 1.0, 2.0  # Holzwanger et al., Endoscopy 53 (2021) 937-940
RETURN_SECONDS = 0.5  # an outline that was away for at most this long blinked; after longer, it is a new find
REACH = 0.5  # of a box's sides: how far it may jump between two frames beyond touching its next place
ROUNDING_SECONDS = 1e-6  # timestamps are sums of rounded fractions; no frame is this short


@dataclass(frozen=True)
class Chain:
    """One region in consecutive frames of a sequence."""

    start: int  # its first frame, counted from 0
    members: tuple[int, ...]  # which of the frame's regions it is, in the frames from `start` on

    @property
    def stop(self) -> int:
        """The first frame without it."""
        return self.start + len(self.members)


@dataclass(frozen=True)
class Appearance:
    """One polyp of the truth, from the frame in which it comes into view to that before it leaves."""

    pts_seconds: NDArray[np.float64]  # (T,) presentation times of its frames
    seconds: float  # how long it was in view
    found: NDArray[np.bool_]  # (T,) an outline met it
    alerted: NDArray[np.bool_]  # (T,) the alert was on while an outline met it

    @property
    def first_outline_ms(self) -> float | None:
        """Milliseconds from its first frame to the first with an outline on it; None when it was missed."""
        return self._first_ms(self.found)

    @property
    def first_alert_ms(self) -> float | None:
        """Milliseconds from its first frame to the first with the alert on; None when it was never alerted.

        Time to first alert, defined here. What the pipeline itself takes (its latency) comes on top.
        """
        return self._first_ms(self.alerted)

    @property
    def changes(self) -> int:
        """How often its outline vanished or came back, between the first frame it was found in and the last.

        To be found once and lost once is no flicker, so each interruption counts 2 and nothing else does.
        """
        (frames,) = np.nonzero(self.found)
        return 2 * int(np.count_nonzero(np.diff(frames) > 1))

    def _first_ms(self, flags: NDArray[np.bool_]) -> float | None:
        return 1000 * float(self.pts_seconds[flags.argmax()] - self.pts_seconds[0]) if flags.any() else None


def frame_seconds(pts_seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """How long each frame is shown, `(T,)`: until the next one; the last as long as the one before it.

    A frame that is alone in its sequence counts 0 seconds.
    """
    steps = np.diff(pts_seconds)
    return np.append(steps, steps[-1:] if steps.size else 0.0)


def chains(frames: Sequence[Sequence[Rect]]) -> list[Chain]:
    """Follow regions through a sequence: `frames` holds the boxes of each frame's regions.

    A box continues that box of the frame before which it touches when both are grown by REACH of their sides
    to each side: a polyp may move by its own width between two frames when the endoscope turns. Nearest
    centres go first, each box continues one at most. A chain ends with the first frame it misses. Returned by
    their start. Defined here.
    """
    active: dict[int, tuple[int, list[int]]] = {}  # box of the frame before → (start, members)
    done: list[Chain] = []
    for index, boxes in enumerate(frames):
        before = frames[index - 1] if index else ()
        continued = dict(_pair(before, boxes))
        done += [
            Chain(start, tuple(members)) for old, (start, members) in active.items() if old not in continued
        ]
        grown = {new: (active[old][0], [*active[old][1], new]) for old, new in continued.items()}
        active = {new: grown.get(new, (index, [new])) for new in range(len(boxes))}
    done += [Chain(start, tuple(members)) for start, members in active.values()]
    return sorted(done, key=lambda chain: chain.start)


def flicker_rate(appearances: Sequence[Appearance]) -> float:
    """Changes of presence per second and polyp: `changes` of all over the seconds they were in view.

    Defined here. NaN when no polyp was in view.
    """
    seconds = sum(appearance.seconds for appearance in appearances)
    return sum(appearance.changes for appearance in appearances) / seconds if seconds else math.nan


def returns(
    frames: Sequence[Sequence[Rect]], pts_seconds: NDArray[np.float64], within: float = RETURN_SECONDS
) -> int:
    """How often an outline vanished and came back near its place after at most `within` seconds.

    `frames` holds the boxes of each frame's outlines. This is flicker without truth, of true and false
    outlines alike; near is what `chains` calls near. Defined here.
    """
    count = 0
    recent: list[Chain] = []  # those that last, or vanished a moment ago
    for chain in chains(frames):
        came, box = pts_seconds[chain.start], frames[chain.start][chain.members[0]]
        earliest = came - within - ROUNDING_SECONDS
        recent = [old for old in recent if old.stop >= chain.start or pts_seconds[old.stop] > earliest]
        gone = (old for old in recent if old.stop < chain.start)
        back = next((old for old in gone if _near(frames[old.stop - 1][old.members[-1]], box)), None)
        if back is not None:
            recent.remove(back)
            count += 1
        recent.append(chain)
    return count


def activations(
    frames: Sequence[Sequence[Rect]],
    pts_seconds: NDArray[np.float64],
    minimum_seconds: float = 0.0,
    *,
    minimum_frames: int = 1,
) -> int:
    """How many outlines stayed for at least `minimum_seconds` and `minimum_frames` without an interruption.

    `frames` holds the boxes of each frame's outlines, none for frames that do not count, as those with a
    polyp where false activations are wanted. To follow them by place is ours; what counts as one activation
    differs between papers:

    - any frame: each one, as in Hassan et al., "Computer-aided detection-assisted colonoscopy:
      classification and relevance of false positives", Gastrointest Endosc 2020, where readers counted 27 an
      examination; and in Brand et al., "Frame-by-Frame Analysis of a Commercially Available Artificial
      Intelligence Polyp Detection System in Full-Length Colonoscopies", Digestion 2022, where there were 101.
    - 6 frames and more: Brand et al. hold back those of up to 6 frames, and 88 % are gone.
    - 0.5, 1 or 2 s and more: Holzwanger et al., Endoscopy 53 (2021) 937-940, by the time they are traced.
    """
    shown = frame_seconds(pts_seconds)
    stays = [(chain.stop - chain.start, shown[chain.start : chain.stop].sum()) for chain in chains(frames)]
    shortest = minimum_seconds - ROUNDING_SECONDS
    return sum(bool(count >= minimum_frames and length > shortest) for count, length in stays)


def estimate_flow(luma: NDArray[np.uint8], following: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Where each pixel of the `following` picture was in this one, as an offset: `(H, W, 2) float32` x, y.

    Takes both as `(H, W) uint8`. Dense inverse search (Kroeger et al., ECCV 2016) at its fast preset.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow = search.calc(following, luma, np.zeros((*luma.shape, 2), np.float32))
    return np.asarray(flow, np.float32)


def warped_iou(mask: NDArray[np.bool_], following: NDArray[np.bool_], flow: NDArray[np.float32]) -> float:
    """IoU of a frame's mask, carried to the next frame by the optical flow, with the next frame's mask.

    Takes masks `(H, W) bool` and the flow that `estimate_flow` gives. 0 when an outline comes or goes, NaN
    where neither mask has a pixel. Pixels that the flow brings in from outside the picture do not count: what
    was there is unknown. The temporal consistency of Liu et al., Efficient Semantic Video Segmentation with
    Per-frame Inference, ECCV 2020, for the polyp class alone.
    """
    height, width = mask.shape
    x = np.arange(width, dtype=np.float32) + flow[..., 0]
    y = np.arange(height, dtype=np.float32)[:, np.newaxis] + flow[..., 1]
    known = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    warped = cv2.remap(mask.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    carried, following = known & (np.asarray(warped) >= 0.5), known & following
    union = int(np.count_nonzero(carried | following))
    return int(np.count_nonzero(carried & following)) / union if union else math.nan


def _pair(before: Sequence[Rect], after: Sequence[Rect]) -> list[tuple[int, int]]:
    """Which box of the frame before each box continues, nearest centres first."""
    near = [(i, j) for i, old in enumerate(before) for j, new in enumerate(after) if _near(old, new)]
    pairs: list[tuple[int, int]] = []
    for i, j in sorted(near, key=lambda pair: _distance(before[pair[0]], after[pair[1]])):
        if all(i != old and j != new for old, new in pairs):
            pairs.append((i, j))
    return pairs


def _near(a: Rect, b: Rect) -> bool:
    """Whether the boxes overlap once grown by REACH of their sides to each side."""
    across = (0.5 + REACH) * (a.width + b.width), (0.5 + REACH) * (a.height + b.height)
    dx, dy = _offset(a, b)
    return abs(dx) < across[0] and abs(dy) < across[1]


def _distance(a: Rect, b: Rect) -> float:
    return math.hypot(*_offset(a, b))


def _offset(a: Rect, b: Rect) -> tuple[float, float]:
    """The vector from the centre of `a` to that of `b`."""
    return b.x + b.width / 2 - a.x - a.width / 2, b.y + b.height / 2 - a.y - a.height / 2
