"""DriftWatch: notices that a stream is unlike everything that the network was trained on."""

import math

import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.appearance import measure_appearance
from rtpolyp.imaging.training_sources import TrainingSources
from rtpolyp.spec import EngineSpec

__all__ = ["NOT_WATCHED", "DriftWatch"]

STEP_SECONDS = 0.5  # between two frames that are measured, at 1 ms of work each
WINDOW = 20  # measured frames that decide: ten seconds, so that no look at a wall or outside does
FEWEST = 5  # measured frames of a stream that ends earlier; with fewer nothing is said of it
NOT_WATCHED = "the bundle does not say how its training frames look, so no stream is found unlike them"


class DriftWatch:
    """Measures two frames a second and judges each WINDOW of them by its medians.

    One instance serves one stream from one thread. A bundle that carries no statistics of its training
    sources, or those of other traits, is not `able`, and nothing is ever said.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self.bundle = spec.name
        self._sources = TrainingSources.of(spec.appearance)
        self._window: list[NDArray[np.float64]] = []
        self._measured_seconds = -math.inf
        self._judged = False

    @property
    def able(self) -> bool:
        """Whether the bundle carries what streams are compared with."""
        return self._sources is not None

    def __call__(
        self, frame: NDArray[np.uint8], probability: NDArray[np.uint8], pts_seconds: float
    ) -> str | None:
        """Take in the network's input `(H, W, 3) uint8 BGR` and output `(H, W) uint8`, 255 = polyp.

        Returns how the WINDOW that this frame completes is unlike every training source, as "redder than any
        training source"; None where it is like one, and for every other frame. Time that goes back is as good
        as time that advances.
        """
        if self._sources is None or abs(pts_seconds - self._measured_seconds) < STEP_SECONDS:
            return None
        self._measured_seconds = pts_seconds
        self._window.append(measure_appearance(frame, probability))
        return self._judge(self._sources) if len(self._window) == WINDOW else None

    def finish(self) -> str | None:
        """Judge a stream that has ended before its first WINDOW was complete."""
        if self._sources is None or self._judged or len(self._window) < FEWEST:
            return None
        return self._judge(self._sources)

    def _judge(self, sources: TrainingSources) -> str | None:
        median = np.median(np.stack(self._window), axis=0)
        self._window, self._judged = [], True
        return sources.difference(median)
