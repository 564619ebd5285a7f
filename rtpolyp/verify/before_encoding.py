"""run_watched: a run over a file, with every frame compared before it is encoded."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rtpolyp.imaging.geometry import Rect
from rtpolyp.inference.engine import Engine
from rtpolyp.run import run_file
from rtpolyp.settings import Settings
from rtpolyp.verify.figure import Figure, figure
from rtpolyp.verify.marks import marked_places, planes_of
from rtpolyp.verify.recording import read_results
from rtpolyp.video.contract import Source
from rtpolyp.video.frame import Frame
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.source import open_source

__all__ = ["run_watched"]

CELL = 2  # luma samples along each side, as one chroma sample has


def run_watched(
    clip: Path, recording: Path, results: Path, engine: Engine, settings: Settings
) -> list[Figure]:
    """Do what `rtpolyp run CLIP -o RECORDING --json RESULTS` does; say what changed outside the marks.

    Raises what `run_file` raises.
    """
    with open_source(clip) as source:
        watcher = _Watcher()
        outputs = Outputs(video=recording, json=results, audio=False)
        run_file(_Noted(source, watcher), outputs, model=engine, settings=settings, display=watcher)
    _, found = read_results(results)
    changed = sum(
        _outside(cells, marked_places(found.get(index, ()), watcher.size))
        for index, cells in watcher.changed.items()
    )
    return [figure("changed_samples", changed, f"{watcher.frames} frames")]


class _Watcher:
    """A display that compares each frame with the one that the decoder gave."""

    def __init__(self) -> None:
        self.frames, self.size = 0, (0, 0)
        self.changed: dict[int, np.ndarray] = {}  # (h, w) uint8, packed; samples that changed in each cell
        self._decoded: deque[Frame] = deque()

    def note(self, frame: Frame) -> None:
        """Take in a frame as the decoder gave it."""
        self._decoded.append(frame)

    def show(self, frame: Frame) -> None:
        """Take in the frame that a display or an encoder is given."""
        original = self._decoded.popleft()
        self.frames, self.size = self.frames + 1, frame.size
        if frame.native is original.native:  # nothing was drawn, and nothing copied
            return
        cells = _changed(frame, original)
        if cells.any():
            self.changed[frame.index] = cells


class _Noted:
    """A source that tells a watcher of each frame."""

    def __init__(self, source: Source, watcher: _Watcher) -> None:
        self._source, self._watcher = source, watcher

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._source:
            self._watcher.note(frame)
            yield frame


def _changed(frame: Frame, original: Frame) -> np.ndarray:
    """How many of the six samples of each cell of 2 by 2 pixels differ, `(h, w) uint8`."""
    (y, u, v), (y0, u0, v0) = planes_of(frame), planes_of(original)
    cells = (u != u0).astype(np.uint8) + (v != v0)
    luma = np.zeros((CELL * cells.shape[0], CELL * cells.shape[1]), np.uint8)
    luma[: y.shape[0], : y.shape[1]] = y != y0
    return np.asarray(cells + luma.reshape(cells.shape[0], CELL, -1, CELL).sum(axis=(1, 3), dtype=np.uint8))


def _outside(cells: np.ndarray, places: list[Rect]) -> int:
    """How many samples changed in none of these places."""
    kept = cells.copy()
    for place in places:
        rows = slice(place.y // CELL, (place.y + place.height + 1) // CELL)
        kept[rows, place.x // CELL : (place.x + place.width + 1) // CELL] = 0
    return int(kept.sum())
