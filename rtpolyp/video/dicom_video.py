"""Multi-frame DICOM objects as Sources: an encapsulated stream, or frames that are encoded one by one."""

import dataclasses
import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtpolyp.dicom.fragments import FragmentStream, find_fragments
from rtpolyp.dicom.header import DicomFile, read_header
from rtpolyp.dicom.pictures import frames_of
from rtpolyp.dicom.times import TIME_BASE, frame_ticks
from rtpolyp.video.array_source import ArraySource
from rtpolyp.video.frame import Frame
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.remarks import Remarks
from rtpolyp.video.video_file import VideoFile

__all__ = ["DicomFrames", "DicomStream", "open_dicom"]

ELEMENTARY = ("h264", "hevc", "m4v", "mpegvideo")  # libav's formats that hold a stream without times
DEFAULT_RATE = Fraction(25)  # frames per second, of an object with a single frame
TOLERANCE = 0.01  # of a frame rate, between what the stream and the header say


def open_dicom(path: Path, options: InputOptions) -> "DicomStream | DicomFrames | None":
    """Open a Video Endoscopic object; None where the object is a still picture.

    Raises InputError as `read_header` does, and where nothing can be decoded.
    """
    found = read_header(path, max_pixels=options.max_pixels)
    if not found.is_video:
        return None
    return DicomStream(found, options) if found.is_stream else DicomFrames(found)


class DicomStream(VideoFile):
    """The MPEG-2, H.264 or HEVC stream of an object, read in place.

    The stream's own times are kept. One that has none, an elementary stream, gets those of the header.
    """

    def __init__(self, found: DicomFile, options: InputOptions) -> None:
        _, fragments = find_fragments(found)
        ticks, stated = frame_ticks(found)
        stream = FragmentStream(found.path, fragments)
        try:
            super().__init__(found.path, options, embedded=stream)
        except BaseException:
            stream.close()
            raise
        self._stream = stream
        self.frame_count = self._stated_frames = found.frames
        self._ticks = ticks if self._decoder.container.format.name in ELEMENTARY else None
        rate = _rate(ticks)
        if self._ticks is not None:
            self.format = dataclasses.replace(self.format, time_base=TIME_BASE, frame_rate=rate)
            self.frame_rate = rate
            if not stated:
                _say_untimed(self.remarks)
        elif stated and rate and self.frame_rate and abs(self.frame_rate / rate - 1) > TOLERANCE:
            self.remarks.say(
                f"its header states {float(rate):.3f} frames/s, its stream {float(self.frame_rate):.3f}: "
                "the stream's times are kept"
            )

    def __iter__(self) -> Iterator[Frame]:
        count = 0
        for frame in super().__iter__():
            yield frame if self._ticks is None else _timed(frame, self._ticks)
            count += 1
        if count != self._stated_frames:
            self.remarks.say(f"its header states {self._stated_frames} frames, its stream holds {count}")

    def close(self) -> None:
        """Release the file; later calls do nothing."""
        super().close()
        self._stream.close()


class DicomFrames(ArraySource):
    """The frames of an object that are encoded one by one, at the times of its header."""

    def __init__(self, found: DicomFile) -> None:
        ticks, stated = frame_ticks(found)
        frames = frames_of(found)
        first = next(frames)  # what cannot be decoded fails here
        pictures = (_colour(picture) for picture in itertools.chain([first], frames))
        super().__init__(pictures, found.size, _rate(ticks) or DEFAULT_RATE, found.path.name)
        self.format = dataclasses.replace(self.format, time_base=TIME_BASE)
        self.frame_count, self.path = found.frames, found.path
        self.start_seconds = 0.0
        self.duration_seconds = float(found.frames / self.frame_rate)
        self._ticks = ticks
        if not stated:
            _say_untimed(self.remarks)

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            yield _timed(frame, self._ticks)


def _timed(frame: Frame, ticks: list[int]) -> Frame:
    """The frame at its time; frames that the header does not know follow at its mean rate."""
    last = len(ticks) - 1
    step = (ticks[last] - ticks[0]) // last if last else frame.native.duration
    beyond = max(0, frame.index - last)
    pts = ticks[min(frame.index, last)] + beyond * step
    native = frame.native
    native.pts, native.time_base = pts, TIME_BASE
    native.duration = ticks[frame.index + 1] - pts if frame.index < last else step
    return dataclasses.replace(frame, pts=pts, time_base=TIME_BASE)


def _rate(ticks: list[int]) -> Fraction | None:
    span = ticks[-1] - ticks[0]
    return Fraction(len(ticks) - 1) / (span * TIME_BASE) if span else None


def _colour(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A grey picture in three equal channels, as a grey video has it."""
    return picture if picture.ndim == 3 else np.repeat(picture[:, :, np.newaxis], 3, axis=2)


def _say_untimed(remarks: Remarks) -> None:
    remarks.say("its header states no frame times: 25 frames/s are assumed")
