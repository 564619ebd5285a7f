"""VideoFile: a video file as a Source."""

import itertools
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from io import RawIOBase
from pathlib import Path
from typing import Self

import av

from rtpolyp.errors import InputError
from rtpolyp.video.decoder import Decoder
from rtpolyp.video.file_parts import FilePart
from rtpolyp.video.frame import Frame
from rtpolyp.video.frame_normaliser import FrameNormaliser
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.remarks import Remarks
from rtpolyp.video.stream_format import StreamFormat

__all__ = ["VideoFile"]


class VideoFile:
    """Upright, progressive frames as far apart as the container says, from zero on.

    The first frame is decoded on opening, so a file that cannot be decoded fails there. A file that was
    cut off, or whose picture changes its size, raises InputError after its last good frame. The file is
    read once, in order, so that it may be a named pipe. With `embedded`, the video is that stream of bytes
    from inside the file `path`; the caller closes it.

    With `part`, only that part's frames come. Their index counts from zero; their pts are the whole file's.
    A part is of a file that is no pipe, and not embedded.
    """

    is_sequence = True

    def __init__(
        self,
        path: Path,
        options: InputOptions | None = None,
        *,
        embedded: RawIOBase | None = None,
        part: FilePart | None = None,
    ) -> None:
        self.name, self.path = path.name, path
        self.remarks = Remarks(path.name)
        self._options, self._embedded, self._part = options or InputOptions(), embedded, part
        self._delivered: int  # frames
        self._interval: int  # ticks from frame to frame
        self._natives: Iterator[av.VideoFrame]
        first = self._begin(seek=part is not None)
        if part is not None and (first.pts is None or self._own_pts(first.pts) > part.zero + part.first):
            self.close()  # the container cannot seek there: it is read from its beginning
            first = self._begin(seek=False)
        self._first: av.VideoFrame | None = first
        self.format = StreamFormat.of(self._decoder.stream, first, transposed=self._normaliser.transposed)
        self.size, self.frame_rate = self.format.size, self.format.frame_rate
        rate, time_base = self.frame_rate, self.format.time_base
        if rate:
            self._interval = max(1, round(1 / (rate * time_base)))
        container, stream = self._decoder.container, self._decoder.stream
        self.duration_seconds = container.duration / av.time_base if container.duration else None
        self.frame_count = stream.frames or _estimate(self.duration_seconds, self.frame_rate)
        self.zero = self._own_pts(first.pts or 0) if part is None else part.zero
        self._zero = self.zero + self._shift  # ticks on the decoder's clock
        self.start_seconds = float(self.zero * time_base)
        self.audio = self._decoder.audio
        if self.audio is not None:
            self.audio.begin(self._zero * time_base)

    def __iter__(self) -> Iterator[Frame]:
        if self.audio is not None and not self.audio.is_wanted:
            self._decoder.forget_audio()
        first, self._first = self._first, None
        time_base, last = self.format.time_base, None
        natives = itertools.chain([] if first is None else [first], self._natives)
        try:
            for native in natives if self._part is None else self._within(self._part, natives):
                native.pts = last = self._grown(native.pts, last)
                native.time_base = time_base
                native.duration = native.duration or self._interval
                index, self._delivered = self._delivered, self._delivered + 1
                yield Frame(native, index, last, time_base, time.monotonic(), f"{index:06d}")
        finally:
            if damage := self.losses.damage():
                self.remarks.say(damage)

    def close(self) -> None:
        """Release the file; later calls do nothing."""
        self._decoder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def _shift(self) -> int:
        """Ticks from the file's own clock to the decoder's, which starts at zero."""
        return round((self._decoder.timeline.first_offset or 0) / (self._decoder.stream.time_base or 1))

    def _own_pts(self, pts: int) -> int:
        """A pts of the decoder's as the file has it."""
        return pts - self._shift

    def _begin(self, *, seek: bool) -> av.VideoFrame:
        """Open the file, at the keyframe before the part with `seek`; return the first frame there."""
        path, options = self.path, self._options
        self._decoder = Decoder(path, self.remarks.say, options=options, embedded=self._embedded)
        self.losses = self._decoder.losses
        self._normaliser = FrameNormaliser(deinterlace=options.deinterlace, remark=self.remarks.say)
        self._delivered = 0
        self._interval = 1
        self._natives = self._normalised()
        try:
            if seek and self._part is not None:
                self._decoder.seek(self._part.zero + self._part.first)
            first = next(self._natives, None)
            if first is None:
                raise InputError(f"{path}: holds no frame that can be decoded; record or export it again")
        except InputError:
            self.close()
            raise
        return first

    def _within(self, part: FilePart, natives: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        """The frames of a part."""
        for native in natives:
            pts = part.first if native.pts is None else native.pts - self._zero
            if part.end is not None and pts >= part.end:
                return
            if pts >= part.first:
                yield native

    def _grown(self, pts: int | None, last: int | None) -> int:
        """Repair what no player or muxer accepts: a pts that is missing or does not grow."""
        pts = None if pts is None else pts - self._zero
        if pts is not None and (last is None or pts > last):
            return pts
        if last is None:
            return 0
        return last + (self._interval if pts is None else 1)

    def _aspect(self) -> Fraction:
        """Width of a pixel by its height; a square one where the stream does not say."""
        return self._decoder.stream.codec_context.sample_aspect_ratio or Fraction(1)

    def _normalised(self) -> Iterator[av.VideoFrame]:
        """What the decoder gives in the shape of the contract, up to the end or where the file breaks off."""
        size, aspect = None, Fraction(1)
        problem, remedy = None, "copy or export it again for the rest"
        for native in self._decoder:
            if size is None:
                size, aspect = (native.width, native.height), self._aspect()
            if (native.width, native.height) != size:
                pts = self._delivered * self._interval if native.pts is None else native.pts
                seconds = float(pts * (native.time_base or 0))
                change = f"{size[0]}x{size[1]} to {native.width}x{native.height}"
                problem = f"its picture changes from {change} at {seconds:.3f} s"
                remedy = "cut the file there and run both parts"
                break
            if (now := self._aspect()) != aspect:
                self.remarks.say(f"its pixels become {now} wide; they are taken as {aspect} throughout")
            yield from self._normaliser(native)
        yield from self._normaliser.flush()
        if problem := problem or self._decoder.broken:
            count = "" if self._part is not None else f"{self._delivered} "  # of a part not all are known
            good = f"the {count}frames before are good"
            raise InputError(f"{self.path}: {problem}; {good}, {remedy}")


def _estimate(seconds: float | None, rate: Fraction | None) -> int | None:
    """Frames in a container that does not count them."""
    return None if seconds is None or rate is None else round(seconds * rate)
