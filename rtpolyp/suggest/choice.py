"""choose: the frames most in doubt, no two of one view, from each video as its length asks."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rtpolyp.imaging.near_duplicates import SAME, SIDE
from rtpolyp.suggest.survey import Candidate, Survey

__all__ = ["Chosen", "choose"]


class Chosen(NamedTuple):
    """One frame to label."""

    video: int  # its place among the surveys
    frame: Candidate


def choose(surveys: Sequence[Survey], count: int) -> list[Chosen]:
    """Choose up to `count` frames; fewer where all others are near-duplicates of these.

    The next frame is of the video that is farthest behind its share by usable time, and of each video one is
    taken before a second of any (Adams' method of apportionment). It is the one with the highest score, and
    where nothing is in doubt any more, the one that is least like all that were chosen. The same surveys give
    the same frames.
    """
    pool = _Pool(surveys)
    taken = dict.fromkeys((index for index, one in enumerate(surveys) if one.candidates), 0)
    chosen: list[Chosen] = []

    def behind(video: int) -> tuple[float, float]:
        seconds = surveys[video].usable_seconds
        return (seconds / taken[video] if taken[video] else np.inf), seconds

    while taken and len(chosen) < count:
        video = max(taken, key=behind)
        picked = pool.pick(video)
        if picked is None:
            del taken[video]
            continue
        taken[video] += 1
        chosen.append(picked)
    return chosen


class _Pool:
    """All candidates, and how much each is like the nearest of those that were taken."""

    def __init__(self, surveys: Sequence[Survey]) -> None:
        self._all: list[Chosen] = [
            Chosen(index, one) for index, found in enumerate(surveys) for one in found.candidates
        ]
        self._videos = np.array([one.video for one in self._all], np.int64)
        self._scores = np.array([one.frame.score for one in self._all], np.float64)
        maps = [one.frame.contrast for one in self._all]
        self._maps = np.array(maps, np.float32).reshape(len(maps), SIDE**2)
        self._likeness = np.full(len(maps), -1.0)  # correlation of contrast maps, from -1 to 1

    def pick(self, video: int) -> Chosen | None:
        """Take the best one of a video; None where only near-duplicates are left."""
        (left,) = np.nonzero((self._videos == video) & (self._likeness < SAME))
        if not left.size:
            return None
        scores = self._scores[left]
        best = int(left[scores.argmax() if scores.max() > 0 else self._likeness[left].argmin()])
        self._likeness = np.maximum(self._likeness, self._maps @ self._maps[best])
        self._likeness[best] = 1.0
        return self._all[best]
