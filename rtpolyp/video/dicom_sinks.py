"""DicomSegSink and DicomVideoSink: what was found, and the picture with it, as objects of the source's study.

An object states how many frames it has before the first of them, so it appears at the end of the run, whole,
of an interrupted one with the frames until then.
"""

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Self

import av
import numpy as np
from numpy.typing import NDArray

from rtpolyp.dicom.object_file import MOST_BYTES, write_object
from rtpolyp.dicom.origin import Origin
from rtpolyp.dicom.segmentation import SYNTAX, Mask, Network, segmentation
from rtpolyp.dicom.video_object import Encoded, level_of, video_object
from rtpolyp.errors import InputError, OutputError
from rtpolyp.imaging.contour import fill_polygon
from rtpolyp.video.contract import Source
from rtpolyp.video.file_faults import write_error
from rtpolyp.video.frame import Frame, Segmentation
from rtpolyp.video.json_sink import rounded_contour
from rtpolyp.video.output_paths import prepare_file
from rtpolyp.video.video_sink import DEFAULT_RATE, EncoderSettings, VideoSink

__all__ = ["DicomSegSink", "DicomVideoSink"]

NOTHING = "no polyp outlined"  # the only segment's label where nothing was


class _ObjectSink:
    """An object that appears when the sink is closed, unless writing failed, and a file beside it until then.

    Raises OutputError where it cannot be written, InputError where it is the source.
    """

    def __init__(self, path: str | Path, source: Source, origin: Origin, work: str) -> None:
        self._path, self._origin = Path(path), origin
        prepare_file(self._path, source)
        self._work = self._path.with_name(f".{self._path.name}{work}")
        self._is_closed = self._is_broken = False

    def close(self) -> None:
        """Write the object; later calls do nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        with self._translated():
            try:
                self._finish()
            finally:
                with contextlib.suppress(OSError):
                    self._work.unlink(missing_ok=True)

    def _finish(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OutputError:
            self._is_broken = True
            raise
        except (OSError, av.FFmpegError) as exc:
            self._is_broken = True
            raise write_error(self._path, exc) from exc

    def _check_length(self, length: int) -> None:
        if length > MOST_BYTES:
            raise OutputError(
                f"{self._path}: more than the {MOST_BYTES:,} bytes that an object can hold; run on a part"
            )


class DicomSegSink(_ObjectSink):
    """Writes a Segmentation: a segment for each track, and a mask for each of its outlines in the JSON.

    Masks wait in a file beside the object, so that memory does not grow with them.
    """

    def __init__(self, path: str | Path, source: Source, origin: Origin, network: Network) -> None:
        super().__init__(path, source, origin, ".masks")
        self._network = network
        self._size: tuple[int, int] | None = None
        self._segments: dict[int, str] = {}  # track → label, in the order of the segments
        self._masks: list[Mask] = []
        self._rest = np.zeros(0, np.bool_)  # fewer than eight pixels, that wait for the next mask's
        with self._translated():
            self._file = self._work.open("wb")

    def write(self, frame: Frame, segmentation: Segmentation | None) -> None:
        """Take the frame's outlines; a frame that was not analysed has none."""
        if segmentation is None:
            return
        self._size = frame.size
        for number, polyp in enumerate(segmentation.polyps, 1):
            track = number if polyp.track is None else polyp.track
            self._segments.setdefault(track, f"polyp {track}")
            mask = np.zeros(frame.size[::-1], np.bool_)
            fill_polygon(rounded_contour(polyp).astype(np.float32), mask)
            self._add(list(self._segments).index(track) + 1, frame.index + 1, mask)

    def _add(self, segment: int, frame: int, mask: NDArray[np.bool_]) -> None:
        """Append a mask's bits: masks follow each other without a gap, within bytes, too."""
        bits = np.concatenate([self._rest, mask.ravel()])
        whole = len(bits) // 8 * 8
        self._rest = bits[whole:]
        with self._translated():
            self._file.write(np.packbits(bits[:whole], bitorder="little").tobytes())
            self._check_length(self._file.tell())
        self._masks.append(Mask(segment, frame))

    def _finish(self) -> None:
        with self._file:
            if self._is_broken or self._size is None:
                return
            if not self._masks:
                self._segments[0] = NOTHING
                self._add(1, 1, np.zeros(self._size[::-1], np.bool_))
            self._file.write(np.packbits(self._rest, bitorder="little").tobytes())
        labels = list(self._segments.values())
        make = partial(segmentation, self._origin, self._size, labels, self._masks, self._network)
        write_object(self._path, make, SYNTAX, self._work, source=self._origin.source.path)


class DicomVideoSink(_ObjectSink):
    """Writes a Video Endoscopic object: H.264 High Profile in MP4, at the source's frame times.

    Raises InputError for stills, and for pictures that are larger or faster than DICOM's H.264 allows.
    """

    def __init__(self, path: str | Path, source: Source, origin: Origin) -> None:
        if source.format is None:
            raise InputError(f"{path}: a still picture makes no video; leave it out")
        width, height = source.format.size
        rate = float(source.frame_rate or DEFAULT_RATE)
        found = level_of((width, height), rate)
        if found is None:
            raise InputError(
                f"{path}: {width}x{height} pixels at {rate:g} frames/s are more than H.264 in DICOM holds "
                "(level 4.2, such as 1920x1080 at 60); write an MP4 with -o"
            )
        super().__init__(path, source, origin, ".mp4")
        self._syntax, level = found
        settings = EncoderSettings(preset="superfast", parameters=f"level={level}")
        self._video = VideoSink(self._work, source, audio=False, settings=settings)
        self._seconds: list[float] = []
        self._size = (width + width % 2, height + height % 2)

    def write(self, frame: Frame, segmentation: Segmentation | None = None) -> None:
        """Encode one frame; what was found in it does not matter here."""
        with self._translated():
            self._video.write(frame)
        self._seconds.append(frame.pts_seconds)

    def _finish(self) -> None:
        self._video.close()
        if self._is_broken or not self._seconds:
            return
        whole = self._work.with_name(f"{self._work.name}.whole")
        try:
            _remux(self._work, whole)
            length = whole.stat().st_size
            self._check_length(length)
            encoded = Encoded(self._size, self._seconds, length, self._syntax)
            make = partial(video_object, self._origin, encoded)
            write_object(self._path, make, self._syntax, whole, source=self._origin.source.path)
        finally:
            with contextlib.suppress(OSError):
                whole.unlink(missing_ok=True)


def _remux(fragmented: Path, whole: Path) -> None:
    """A plain MP4 with its index in front, since viewers of DICOM seldom know fragmented ones."""
    with (
        av.open(f"file:{fragmented}") as read,
        av.open(f"file:{whole}", "w", format="mp4", options={"movflags": "faststart"}) as written,
    ):
        target = written.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.dts is not None:
                packet.stream = target
                written.mux(packet)
