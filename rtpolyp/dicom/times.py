"""When each frame of a multi-frame object is shown, by its header."""

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from pydicom.dataset import Dataset

from rtpolyp.dicom.header import BadValue, DicomFile, quiet

__all__ = ["TIME_BASE", "frame_ticks", "intervals_of"]

TIME_BASE = Fraction(1, 1_000_000)  # seconds; headers state milliseconds with decimals
DEFAULT_MS = 40.0  # where the header states nothing
LONGEST_MS = 3_600_000.0  # between two frames


def frame_ticks(found: DicomFile) -> tuple[list[int], bool]:
    """The pts of each frame in TIME_BASE, the first at zero, and whether the header states them.

    FrameTimeVector comes before FrameTime, and that before a rate, as FrameIncrementPointer is often missing.
    Raises InputError where they are no times, or not one for each frame.
    """
    header, frames = found.header, found.frames
    with quiet(found.path):
        vector = _numbers(header, "FrameTimeVector", frames)
        if len(vector) == frames > 1:
            increments = [_milliseconds(value, "FrameTimeVector", least=0.0) for value in vector[1:]]
            total, ticks = 0.0, [0]
            for increment in increments:
                total += increment
                ticks.append(max(round(total * 1000), ticks[-1] + 1))
            return ticks, True
        if len(vector) > 1:
            raise BadValue("FrameTimeVector")
        step, stated = _step(header)
        return [round(number * step * 1000) for number in range(frames)], stated


def intervals_of(seconds: Sequence[float]) -> tuple[float | None, list[float]]:
    """Milliseconds from frame to frame, the first zero; and one for all of them, where they are alike."""
    steps = [round(1000 * (after - before), 3) for before, after in pairwise(seconds)]
    mean = 1000 * (seconds[-1] - seconds[0]) / len(steps) if steps else DEFAULT_MS
    even = all(abs(1000 * (at - seconds[0]) - number * mean) < 1.0 for number, at in enumerate(seconds))
    return (mean if even else None), [0.0, *steps]


def _step(header: Dataset) -> tuple[float, bool]:
    if found := _numbers(header, "FrameTime", 1):
        return _milliseconds(found[0], "FrameTime", least=0.1), True
    for keyword in ("RecommendedDisplayFrameRate", "CineRate"):
        if found := _numbers(header, keyword, 1):
            return _milliseconds(1000 / found[0] if found[0] else 0.0, keyword, least=0.1), True
    return DEFAULT_MS, False


def _numbers(header: Dataset, keyword: str, most: int) -> list[float]:
    """The numbers of a text value, which is counted before it is taken apart."""
    if keyword not in header:
        return []
    raw = header.get_item(keyword)
    value = b"" if raw is None else raw.value
    if not isinstance(value, bytes):
        values = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
        value = "\\".join(map(str, values)).encode()
    if value.count(b"\\") >= most:
        raise BadValue(keyword)
    try:
        return [float(part) for part in value.split(b"\\")] if value.strip(b" \0") else []
    except ValueError:
        raise BadValue(keyword) from None


def _milliseconds(value: float, keyword: str, *, least: float) -> float:
    if not (math.isfinite(value) and least <= value <= LONGEST_MS):
        raise BadValue(keyword)
    return value
