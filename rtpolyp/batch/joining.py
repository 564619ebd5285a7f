"""join: the frames of a video's chunks as one sequence, in which each track has one number."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rtpolyp.batch.tables import FoundFrame

__all__ = ["join"]

LEAST_OVERLAP = 0.5  # IoU of two boxes of one frame that are the same outline; mostly they are equal


def join(chunks: Sequence[tuple[int, Sequence[FoundFrame]]]) -> list[FoundFrame]:
    """The frames of chunks, each given with the pts from which its frames count, in order.

    A chunk's frames before that, its warm-up, are the end of the chunk before, analysed once more: a track
    that both outline there goes on with its number. All others are numbered in order of their first outline,
    from 1, as one run over the whole video does.
    """
    joined: dict[int, FoundFrame] = {}  # by pts
    count = 0
    for start, frames in chunks:
        numbers = _known(joined, [frame for frame in frames if frame.pts < start])
        for frame in frames:
            if frame.pts < start:
                continue
            for track in sorted(polyp["track"] for polyp in frame.polyps):
                if track not in numbers:
                    count += 1
                    numbers[track] = count
            polyps = tuple({**polyp, "track": numbers[polyp["track"]]} for polyp in frame.polyps)
            joined[frame.pts] = dataclasses.replace(frame, polyps=polyps)
    return list(joined.values())


def _known(joined: Mapping[int, FoundFrame], warm_up: Sequence[FoundFrame]) -> dict[int, int]:
    """The numbers of a chunk's tracks that are known from the one before; the latest frames decide."""
    numbers: dict[int, int] = {}
    for frame in reversed(warm_up):
        if (before := joined.get(frame.pts)) is None:
            continue
        pairs = sorted(_pairs(frame, before), key=lambda pair: -pair[0])
        for _, track, number in pairs:
            if track not in numbers and number not in numbers.values():
                numbers[track] = number
    return numbers


def _pairs(frame: FoundFrame, before: FoundFrame) -> Iterator[tuple[float, int, int]]:
    """(IoU, track, number) of outlines that are the same one."""
    for here in frame.polyps:
        for there in before.polyps:
            overlap = _iou(here["box"], there["box"])
            if overlap >= LEAST_OVERLAP:
                yield overlap, here["track"], there["track"]


def _iou(a: Sequence[Any], b: Sequence[Any]) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(0, width) * max(0, height)
    return float(common / (a[2] * a[3] + b[2] * b[3] - common))
