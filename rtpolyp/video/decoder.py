"""Decoder: the pictures of a file's video stream, as libav gives them."""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import av
from av.stream import Disposition

from rtpolyp.errors import InputError
from rtpolyp.video.access.opening import open_file
from rtpolyp.video.live.faults import InputFault
from rtpolyp.video.picture_limit import limit_pixels

__all__ = ["Decoder", "codec_threads"]

log = logging.getLogger(__name__)

CUT_TOLERANCE_SECONDS = 1.0  # a Matroska file that ends this much before its stated duration was cut off


def codec_threads() -> int:
    """Threads for a decoder or an encoder: half of the cores and at most four; the rest is the engine's.

    On two cores that is one: frame threading there costs 4 % more core time and gains nothing, since
    decoding overlaps with the engine anyway.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(4, cores // 2))


class Decoder:
    """Opens a file and iterates over the decoded pictures of its best video stream, once.

    A damaged packet is skipped with one warning a file, as players do. Where the file itself breaks off,
    iteration ends and `broken` says why. Raises InputError on opening, also where it declares more than
    `max_pixels`.
    """

    def __init__(self, path: Path, max_pixels: int) -> None:
        self.broken: str | None = None  # what cut the stream short, once iteration is over
        self._path = path
        self._damaged = 0  # packets
        self.container = _open(path)
        try:
            self.stream = _video_stream(self.container, path, max_pixels)
        except InputError:
            self.container.close()
            raise

    def __iter__(self) -> Iterator[av.VideoFrame]:
        held: av.Packet[av.VideoStream] | None = None  # corrupt: decoded if another follows, else the cut
        end = 0.0  # seconds, of the last packet
        try:
            for packet in self.container.demux(self.stream):
                if held is not None and packet.size:
                    yield from self._decode(held)
                    held = None
                if packet.is_corrupt:
                    held = packet
                    continue
                if packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                yield from self._decode(packet)  # the last packet is empty and flushes the decoder
        except av.FFmpegError as exc:
            self.broken = f"it cannot be read any further ({exc.strerror})"
        except InputFault as exc:  # a playlist
            self.broken = exc.fault.reason
        else:
            if held is not None or self._ends_early(end):
                self.broken = "it was cut off"

    def close(self) -> None:
        """Release the file; later calls do nothing."""
        self.container.close()

    def _decode(self, packet: "av.Packet[av.VideoStream]") -> list[av.VideoFrame]:
        try:
            return packet.decode()
        except av.FFmpegError as exc:
            if not self._damaged:
                log.warning("%s: damaged (%s); skipping what cannot be decoded", self._path, exc.strerror)
            self._damaged += 1
            return []

    def _ends_early(self, end: float) -> bool:
        """Whether the container promised more than the file holds."""
        if "mp4" in self.container.format.name:
            size = self.container.size
            return any(entry.pos + entry.size > size for entry in self.stream.index_entries)
        if "matroska" in self.container.format.name:
            promised = _seconds(self.stream.metadata.get("DURATION", ""))
            return promised is not None and end + CUT_TOLERANCE_SECONDS < promised
        return False  # other containers promise nothing that can be relied on


def _open(path: Path) -> av.container.InputContainer:
    try:
        return open_file(path)
    except InputFault as exc:
        raise InputError(f"{path}: {exc.fault.reason}; {exc.fault.remedy}") from exc
    except av.FFmpegError as exc:
        raise InputError(f"{path}: {_why_not(path, exc)}") from exc


def _why_not(path: Path, exc: av.FFmpegError) -> str:
    if path.is_file():  # a pipe would be waited for
        with contextlib.suppress(OSError), path.open("rb") as file:
            head = file.read(8)
            if not head:
                return "empty (0 bytes); copy or record it again"
            if head[4:] == b"ftyp":
                return "its index (moov) is missing, the recording was cut off; repair it or record again"
    return f"not a video that can be read ({exc.strerror}); give another file or convert it to MP4"


def _video_stream(container: av.container.InputContainer, path: Path, max_pixels: int) -> av.VideoStream:
    stream = container.streams.best("video")
    if not isinstance(stream, av.VideoStream) or stream.disposition & Disposition.attached_pic:
        raise InputError(f"{path}: no video stream in it; give a file with a moving picture")
    if stream.codec_context is None:
        raise InputError(f"{path}: its video codec is unknown to this FFmpeg; convert it to H.264")
    try:
        limit_pixels(stream, max_pixels)
    except InputFault as exc:
        raise InputError(f"{path}: {exc.fault.reason}; {exc.fault.remedy}") from exc
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = codec_threads()
    return stream


def _seconds(duration: str) -> float | None:
    """Read Matroska's HH:MM:SS.nnnnnnnnn."""
    try:
        hours, minutes, seconds = duration.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return None
