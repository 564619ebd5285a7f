"""FilePart: a stretch of a video file, and where a file may be cut into such."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rtpolyp.video.decoder import Decoder
from rtpolyp.video.input_options import InputOptions

__all__ = ["FilePart", "keyframes_of", "parts_around"]

INDEXED = ("mp4", "matroska")  # containers whose index names keyframes, and that seek by it
FARTHEST_SECONDS = 10**6  # a place after every end: Matroska reads its index when it first seeks


@dataclass(frozen=True)
class FilePart:
    """The frames with `first` ≤ pts < `end`, with the pts that they have in the whole file.

    Times are ticks of the stream's time base.
    """

    zero: int  # VideoFile.zero of the whole file
    first: int  # pts; the file is read from the last keyframe at or before it
    end: int | None  # pts; None: to the end of the file


def keyframes_of(path: Path, options: InputOptions | None = None) -> tuple[int, ...]:
    """The pts of a video file's keyframes, from the container's index; none where it cannot be cut by it.

    MP4, MOV and Matroska have such an index. Other containers have none, or times that begin anew within a
    file. Raises InputError as VideoFile does.
    """
    decoder = Decoder(path, lambda remark: None, options=options or InputOptions())
    try:
        stream, container = decoder.stream, decoder.container
        if not any(name in container.format.name for name in INDEXED) or stream.time_base is None:
            return ()
        decoder.seek(round(FARTHEST_SECONDS / stream.time_base))
        times = [entry.timestamp for entry in stream.index_entries if entry.is_keyframe]
        if not times or any(later <= earlier for earlier, later in pairwise(times)):
            return ()
        return tuple(time - times[0] for time in times)
    finally:
        decoder.close()


def parts_around(keyframes: Sequence[int], zero: int, stretches: Iterable[tuple[int, int]]) -> list[FilePart]:
    """The parts, in order and each from a keyframe on, that hold every frame with first ≤ pts < end.

    `stretches` are (first, end) each; those that would be decoded from one keyframe on share a part.
    """
    parts: list[FilePart] = []
    for first, end in sorted(stretches):
        key = keyframes[max(0, bisect_right(keyframes, first) - 1)]
        last = parts[-1] if parts else None
        if last is not None and last.end is not None and key <= last.end:
            parts[-1] = FilePart(zero, last.first, max(last.end, end))
        else:
            parts.append(FilePart(zero, key, end))
    return parts
