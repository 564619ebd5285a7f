"""match_frames: which frame of a clip each frame of its recording shows."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.verify.counter import read_counter
from rtpolyp.video.frame import Frame

__all__ = ["Match", "match_frames"]

AHEAD = 12  # frames of the clip that a recording may leave out at once
THUMBNAIL = 64, 48  # pixels
# Grey levels of the mean difference that each frame left out or repeated must save: codec noise between two
# thumbnails of the same frame is about 0.3.
DOUBT = 0.5
OTHER = 255.0  # of two frames whose counters differ


class Match(NamedTuple):
    """A recorded frame, and the frame of the clip that it shows."""

    recorded: Frame
    original: Frame


class _Seen(NamedTuple):
    frame: Frame
    counter: int | None
    thumbnail: NDArray[np.float32]


def match_frames(
    originals: Iterator[Frame], recorded: Iterable[Frame], *, counted: bool = False
) -> Iterator[Match]:
    """Pair each recorded frame with one of the clip, never an earlier one than the frame before it.

    Frames are told apart by what they look like, or by their counters where the clip is `counted` and both
    can be read. Raises what the two sources raise.
    """
    window: deque[_Seen] = deque()
    usual = 0  # place in the window of the frame that should follow
    for frame in recorded:
        seen = _seen(frame, counted)
        window.extend(_seen(one, counted) for one in islice(originals, AHEAD + usual - len(window)))
        if not window:
            return
        costs = [_difference(seen, one) + DOUBT * abs(place - usual) for place, one in enumerate(window)]
        for _ in range(int(np.argmin(costs))):
            window.popleft()
        usual = 1
        yield Match(frame, window[0].frame)


def _seen(frame: Frame, counted: bool) -> _Seen:
    luma = frame.luma()
    thumbnail = np.asarray(cv2.resize(luma, THUMBNAIL, interpolation=cv2.INTER_AREA), np.float32)
    return _Seen(frame, read_counter(luma) if counted else None, thumbnail)


def _difference(one: _Seen, other: _Seen) -> float:
    if one.counter is not None and other.counter is not None:
        return 0.0 if one.counter == other.counter else OTHER
    return float(np.abs(one.thumbnail - other.thumbnail).mean())
