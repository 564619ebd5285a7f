"""Decoder: the pictures of a file's video stream, as libav gives them."""

import contextlib
import os
from collections.abc import Callable, Iterator
from io import RawIOBase
from pathlib import Path
from typing import TypeAlias

import av
from av.stream import Discard

from rtpolyp.errors import InputError
from rtpolyp.video.access.opening import open_embedded, open_file
from rtpolyp.video.audio_track import AudioTrack
from rtpolyp.video.contract import Losses
from rtpolyp.video.file_faults import read_error
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.live.faults import InputFault
from rtpolyp.video.picture_decoder import PictureDecoder
from rtpolyp.video.picture_limit import limit_pixels, probing_limits
from rtpolyp.video.stream_choice import (
    NoPictureError,
    choose_audio,
    choose_video,
    clock_may_leap,
    discard_others,
)
from rtpolyp.video.timeline import Timeline

__all__ = ["Decoder", "codec_threads"]

Packet: TypeAlias = "av.Packet[av.stream.Stream]"
CUT_TOLERANCE_SECONDS = 1.0  # a Matroska file that ends this much before its stated duration was cut off


def codec_threads() -> int:
    """Threads for a decoder or an encoder: half of the cores and at most four; the rest is the engine's.

    On two cores that is one: frame threading there costs 4 % more core time and gains nothing, since
    decoding overlaps with the engine anyway.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(4, cores // 2))


class Decoder:
    """Opens a file, or a video `embedded` in it, and iterates over the pictures of one stream, once.

    Their times start at about zero, on the clock that `audio` is on, too, and go on through every reset of
    the file's own. A damaged packet is skipped and counted in `losses`, as players do. Where the file itself
    breaks off, iteration ends and `broken` says why. `choice` is a remark on the video streams that are not
    taken. Raises InputError on opening, also where the pictures are larger than `options` allow.
    """

    def __init__(
        self,
        path: Path,
        remark: Callable[[str], None],
        *,
        options: InputOptions,
        embedded: RawIOBase | None = None,
    ) -> None:
        self.broken: str | None = None  # what cut the stream short, once iteration is over
        self.losses = Losses()
        self._path = path
        self.container = _open(path, options, embedded)
        try:
            self.stream, choice = choose_video(self.container, options.stream)
            limit_pixels(self.stream, options.max_pixels)
        except NoPictureError as exc:
            self.container.close()
            raise InputError(f"{path}: {exc.reason}; {exc.remedy}") from None
        self.stream.thread_type = "AUTO"
        self.stream.codec_context.thread_count = codec_threads()
        sound, tracks = choose_audio(self.container)
        discard_others(self.container, self.stream, sound)
        if choice:
            remark(choice)
        self.audio = None if sound is None else AudioTrack(sound, remark, choice=tracks)
        self.timeline = Timeline(live=False, may_leap=clock_may_leap(self.container))
        self._decode = PictureDecoder(self.container, self.stream, self.losses, from_start=True)

    def __iter__(self) -> Iterator[av.VideoFrame]:
        held: Packet | None = None  # corrupt: decoded if another follows, else the cut
        end = 0.0  # seconds, of the last packet
        try:
            for packet in self._demuxed():
                if held is not None and packet.size:
                    yield from self._pictures(held)
                    held = None
                if packet.is_corrupt:
                    held = packet
                    continue
                if packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                yield from self._pictures(packet)  # the last packet is empty and flushes the decoder
        except av.FFmpegError as exc:
            self.broken = f"it cannot be read any further ({exc.strerror})"
        except InputFault as exc:  # a playlist
            self.broken = exc.fault.reason
        else:
            if held is not None or self._ends_early(end):
                self.broken = "it was cut off"
        self._decode.finish()

    def seek(self, ticks: int) -> None:
        """Go to the last keyframe at or before `ticks` of the stream's own clock, as far as the file can."""
        with contextlib.suppress(av.FFmpegError):
            self.container.seek(ticks, stream=self.stream)

    def close(self) -> None:
        """Release the file; later calls do nothing."""
        self.container.close()

    def forget_audio(self) -> None:
        """Nobody wants the sound: it is not read any more."""
        if self.audio is not None:
            self.audio.stream.discard = Discard.all
            self.audio.forget()

    def _demuxed(self) -> Iterator[Packet]:
        """The packets of the picture; those of the sound go to its track."""
        audio = self.audio
        for packet in self.container.demux(
            *([self.stream] if audio is None else [self.stream, audio.stream])
        ):
            if packet.stream.type == "video":
                yield packet
            elif audio is not None and packet.size:
                for placed in self.timeline.place(packet):
                    audio.put(placed)  # type: ignore[arg-type]  # of audio

    def _pictures(self, packet: Packet) -> list[av.VideoFrame]:
        if packet.size:
            _, *sound = self.timeline.place(packet)
        else:
            sound = self.timeline.rest()
        if self.audio is not None:
            for placed in sound:
                self.audio.put(placed)  # type: ignore[arg-type]
        return self._decode(packet)

    def _ends_early(self, end: float) -> bool:
        """Whether the container promised more than the file holds."""
        if "mp4" in self.container.format.name:
            size = self.container.size
            return any(entry.pos + entry.size > size for entry in self.stream.index_entries)
        if "matroska" in self.container.format.name:
            promised = _seconds(self.stream.metadata.get("DURATION", ""))
            return promised is not None and end + CUT_TOLERANCE_SECONDS < promised
        return False  # other containers promise nothing that can be relied on


def _open(path: Path, options: InputOptions, embedded: RawIOBase | None) -> av.container.InputContainer:
    limits = probing_limits(options.max_pixels)
    try:
        return open_file(path, limits) if embedded is None else open_embedded(embedded, limits)
    except InputFault as exc:
        raise InputError(f"{path}: {exc.fault.reason}; {exc.fault.remedy}") from exc
    except PermissionError as exc:
        raise read_error(path, exc) from exc
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


def _seconds(duration: str) -> float | None:
    """Read Matroska's HH:MM:SS.nnnnnnnnn."""
    try:
        hours, minutes, seconds = duration.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return None
