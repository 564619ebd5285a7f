"""Temporal smoothing of the network's probability, in milliseconds and not in frames."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError

__all__ = ["TIME_CONSTANT_MS", "TemporalSmoother"]

# 40 ms / ln 10: at 25 frames/s a frame counts nine tenths, so that a polyp that moves by its own width
# between two frames, as real ones do when the endoscope turns, is outlined where it is. With 60 ms, which
# suppresses a single false frame, a quick pan on a real clip lost two thirds of the outlines.
TIME_CONSTANT_MS = 17.4


class TemporalSmoother:
    """Exponential moving average of one stream's probability maps, weighted by the time between frames.

    After a step the average has covered `1 - exp(-t / time_constant_ms)` of the way at `t` milliseconds; the
    frame that shows the step counts with one frame interval. A gap needs no rule of its own: after
    `ln(510)` = 6.2 time constants the past weighs less than half a grey level. Whatever must not be mixed, as
    two sequences in one file, is kept apart by `reset`.

    The state is kept in float32, so that rounding the output neither drifts nor leaves a residue above 0 or
    below 255. One instance serves one stream from one thread.
    """

    def __init__(self, time_constant_ms: float = TIME_CONSTANT_MS) -> None:
        """Raises InputError when `time_constant_ms` is negative; 0 switches smoothing off."""
        if not 0 <= time_constant_ms < math.inf:
            raise InputError(f"smoothing time constant {time_constant_ms} ms: give 0 or more milliseconds")
        self.time_constant_ms = time_constant_ms
        self._average: NDArray[np.float32] | None = None
        self._pts_seconds = -math.inf

    @property
    def delay_ms(self) -> float:
        """Milliseconds before which a full step crosses probability 0.5: what smoothing adds at most."""
        return self.time_constant_ms * math.log(2)

    def __call__(self, probability: NDArray[np.uint8], pts_seconds: float) -> NDArray[np.uint8]:
        """Take in one map `(H, W) uint8` (255 = polyp) of the frame at `pts_seconds`; return the new average.

        Returns `(H, W) uint8`, an array of its own. A timestamp that does not advance, or a map of another
        size, starts anew.
        """
        elapsed_ms = 1000 * (pts_seconds - self._pts_seconds)
        self._pts_seconds = pts_seconds
        if self._average is None or elapsed_ms <= 0 or self._average.shape != probability.shape:
            self._average = probability.astype(np.float32)
            return probability.copy()
        weight = -math.expm1(-elapsed_ms / self.time_constant_ms) if self.time_constant_ms else 1.0
        cv2.accumulateWeighted(probability, self._average, weight)
        return np.asarray(cv2.convertScaleAbs(self._average), np.uint8)  # rounds to nearest

    def reset(self) -> None:
        """Forget the past: the next map is returned as it is."""
        self._average = None
