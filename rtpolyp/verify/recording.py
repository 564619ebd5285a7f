"""check_recording: every figure that a clip, its recording and the results between them can give."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.report.lines import Header, Line, read_lines
from rtpolyp.settings import Settings
from rtpolyp.verify.figure import Figure, figure
from rtpolyp.verify.marks import Found, Marks, as_polyps
from rtpolyp.verify.matching import match_frames
from rtpolyp.verify.pictures import Pictures, Timing
from rtpolyp.video.contract import Source
from rtpolyp.video.frame import Frame
from rtpolyp.video.source import open_source

__all__ = ["Truths", "check_recording", "read_results"]

Truths = Sequence[NDArray[np.uint8]]  # a mask `(H, W) bool` a frame, packed by numpy.packbits
DEFAULT_SECONDS = 0.04  # a frame, where no rate is stated


def read_results(path: Path) -> tuple[Settings, Found]:
    """The settings, and the polyps by frame, of a run's JSON lines; raises InputError where it has none."""
    settings: Settings | None = None
    size = (0, 0)
    found: dict[int, tuple[Polyp, ...]] = {}
    for line in read_lines(path):
        if isinstance(line, Header):
            settings, size = _settings(path, line.fields), line.size or (0, 0)
        elif isinstance(line, Line) and line.name.isdecimal():
            found[int(line.name)] = as_polyps(line.polyps, size)
    if settings is None or min(size) < 1:
        raise InputError(f"{path}: is of no video; give the lines of a run over the clip")
    return settings, found


def check_recording(
    clip: Path,
    recording: Path,
    results: Path,
    *,
    truths: Truths = (),
    on_progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> list[Figure]:
    """Compare a recording with the clip that it was made from, by the results that were drawn on it.

    `truths` are given for a clip of ours alone, whose pictures have counters. Raises InputError where one of
    the three files cannot be read.
    """
    settings, found = read_results(results)
    with open_source(clip) as source, open_source(recording) as recorded:
        parts = Pictures(found), Marks(found, settings)
        timing = Timing(recorded.start_seconds or 0.0)
        originals = _Counted(source)
        for number, match in enumerate(match_frames(originals, recorded, counted=bool(truths)), 1):
            for part in (*parts, timing):
                part.add(match)
            on_progress(number, source.frame_count)
        frames = originals.drained()
    seconds = float(1 / source.frame_rate) if source.frame_rate else DEFAULT_SECONDS
    pictures, marks = parts
    return [
        *pictures.figures(),
        *marks.figures(seconds),
        *_delays(found, truths, seconds),
        *timing.figures(frames),
    ]


class _Counted:
    """A source's frames, and how many there were."""

    def __init__(self, source: Source) -> None:
        self._frames, self._count = iter(source), 0

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        frame = next(self._frames)
        self._count += 1
        return frame

    def drained(self) -> int:
        """The number of all frames, once the rest is read."""
        for _ in self:
            pass
        return self._count


def _settings(path: Path, header: Mapping[str, Any]) -> Settings:
    try:
        return Settings(**header["settings"])
    except (KeyError, TypeError, InputError) as exc:
        raise InputError(f"{path}: line 1 has no settings of a run ({exc}); give a run's lines") from exc


def _delays(found: Found, truths: Truths, frame_seconds: float) -> list[Figure]:
    """How long after a polyp its mark begins and ends, where the masks are known."""
    if not truths:
        return [figure("mark_onset", None, "the clip's polyps are not known")]
    present = [bool(truth.any()) for truth in truths]
    marked = [_touches(found.get(index, ()), truth) for index, truth in enumerate(truths)]
    begins, ends, missed = [], [], 0
    stretches = _stretches(present)
    for start, end in stretches:
        first = next((index for index in range(start, end) if marked[index]), None)
        if first is None:
            missed += 1
            continue
        begins.append(first - start)
        after = end
        while after < len(truths) and found.get(after):
            after += 1
        ends.append(after - end)
    sample = f"stretches with a polyp: {len(stretches)}"
    if not begins:
        return [figure("unmarked", missed, sample)]
    return [
        figure("mark_onset", 1000 * frame_seconds * max(begins), f"{sample}; {max(begins)} frames"),
        figure("mark_end", 1000 * frame_seconds * max(ends), f"{sample}; {max(ends)} frames"),
        figure("unmarked", missed, sample),
    ]


def _touches(polyps: Sequence[Polyp], packed: NDArray[np.uint8]) -> bool:
    masks = (polyp.mask for polyp in polyps)
    return any(bool((np.packbits(mask) & packed).any()) for mask in masks)


def _stretches(present: Sequence[bool]) -> list[tuple[int, int]]:
    """First frame, and the one after the last, of each stretch with a polyp."""
    edges = np.flatnonzero(np.diff(np.array([False, *present, False]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
