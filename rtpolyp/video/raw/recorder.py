"""RawRecorder: a live source's packets as they came, recorded without encoding them again."""

import contextlib
import logging
from pathlib import Path
from typing import Self

import av

from rtpolyp.errors import OutputError
from rtpolyp.video.audio_copier import COPIED
from rtpolyp.video.contract import LiveSource
from rtpolyp.video.output_paths import prepare_file
from rtpolyp.video.raw.file_writer import FileWriter
from rtpolyp.video.raw.packet_times import Packet, PacketTimes
from rtpolyp.video.raw.remuxer import Remuxer
from rtpolyp.video.timeline import TIME_BASE

__all__ = ["RawRecorder"]

log = logging.getLogger(__name__)

MP4_CODECS = ("av1", "h264", "hevc", "mpeg4", "vp9")  # what players expect in an MP4
CONTAINERS = {".mp4": "mp4", ".mkv": "matroska"}


class RawRecorder:
    """A PacketTap that remuxes into a fragmented MP4, or into Matroska where MP4 would not be playable.

    Recording starts at a key frame, on the clock of the source's frames. Where the stream comes back with
    other codec parameters, it goes on in NAME.2.mp4, whose clock starts at zero. Muxing is a copy in memory,
    on the caller's thread; the disk has a thread of its own, and one that is slow costs packets of the
    recording, a full one its rest, but never the picture. Nothing of the sender's metadata is kept. The
    picture itself is: there is no raw recording without what stands beside the endoscope's picture.

    Raises OutputError where the file cannot be written, or the source's codec cannot be copied.
    """

    def __init__(self, path: str | Path, source: LiveSource) -> None:
        path = Path(path)
        if path.suffix.lower() not in CONTAINERS:
            raise OutputError(f"{path}: raw recordings are MP4 or Matroska; name the file *.mp4 or *.mkv")
        if source.codec == "rawvideo":
            raise OutputError(
                f"{path}: {source.name} sends uncompressed pictures, which cannot be copied; record the "
                "overlay instead, or choose a compressed input format, e.g. mjpeg"
            )
        if source.hides_order:
            raise OutputError(
                f"{path}: {source.name} has pictures in another order than they are shown, and its container "
                "does not say when; record the overlay instead, or give MP4, Matroska or MPEG-TS"
            )
        if path.suffix.lower() == ".mp4" and source.codec not in MP4_CODECS:
            log.warning("%s: %s does not play in MP4; recording %s", path, source.codec, path.stem + ".mkv")
            path = path.with_suffix(".mkv")
        prepare_file(path, source)
        self.written: list[Path] = []  # in order
        self._error: OutputError | None = None  # of a file that could not be begun
        self._writers: list[FileWriter] = []  # of all files
        self.lost_packets = 0  # not recorded: before a key frame, or the disk was behind
        self._path, self._container = path, CONTAINERS[path.suffix.lower()]
        self._writer: FileWriter | None = self._next_file()
        self._remuxer: Remuxer | None = None
        self._times: PacketTimes | None = None  # of the connection's packets
        self._parameters: list[object] = []
        self._wants_key = True
        self._zero = 0  # ticks of the packets, where the frames' clock begins
        self._base: int | None = 0  # ticks, where the file's clock starts; None: at its first packet
        self._last: dict[str, int] = {}  # dts by kind of packet

    @property
    def error(self) -> OutputError | None:
        """Why nothing is recorded any more, or has not been to the end; its cause is the system's error."""
        errors = (writer.error for writer in self._writers)
        return self._error or next((error for error in errors if error is not None), None)

    def opened(self, video: av.VideoStream, audio: av.AudioStream | None, zero: int) -> None:
        """Go on in the same file if the stream is of the same kind as before, else in the next one."""
        self._wants_key, self._zero = True, zero
        if audio is not None and not self._takes(audio):
            log.warning("%s: its %s sound cannot be copied and is left out", self._path, audio.codec.name)
            audio = None
        parameters = [_parameters(video), None if audio is None else _parameters(audio)]
        self._times = PacketTimes(video)
        if parameters == self._parameters:
            return
        try:
            if self._remuxer is not None:
                self._finish_file()
                self._writer, self._base = self._next_file(), None
            if self._writer is not None:
                self._remuxer, self._parameters = Remuxer(self._container, video, audio), parameters
                self._last.clear()
        except (av.FFmpegError, ValueError, OutputError) as exc:  # ValueError: PyAV's, of a codec
            self._error = OutputError(f"{self._path}: the raw recording ends here ({exc})")
            log.warning("%s", self._error)
            self._finish_file()

    def packet(self, packet: Packet) -> None:
        """Record one packet; those before a key frame are of no use."""
        writer, kind = self._writer, packet.stream.type
        if self._remuxer is None or writer is None or writer.error or not self._remuxer.takes(kind):
            return
        self._wants_key |= writer.is_behind
        if self._wants_key and (writer.is_behind or kind != "video" or not packet.is_keyframe):
            self.lost_packets += 1
            return
        self._wants_key = False
        times = None if self._times is None else self._times(packet)
        if times is None or not self._record(writer, self._remuxer, packet, *times):
            self.lost_packets += 1

    def _record(self, writer: FileWriter, remuxer: Remuxer, packet: Packet, pts: int, dts: int) -> bool:
        """Whether nothing is lost by what became of the packet."""
        kind, pts, dts = packet.stream.type, pts - self._zero, dts - self._zero
        if self._base is None:
            self._base = dts
            log.info("%s: starts %.3f s after the first file", self.written[-1], float(dts * TIME_BASE))
        # Reordered pictures are decoded before zero; at the joint of two recordings they may overlap.
        dts = max(dts, self._last.get(kind, self._base - 1) + 1)
        if dts > pts:
            return kind == "audio" and pts < 0  # sound of before the first picture
        self._last[kind] = dts
        try:
            writer.put(remuxer.add(packet, pts - self._base, dts - self._base))
        except av.FFmpegError as exc:
            if not self.lost_packets:
                log.warning("%s: a packet cannot be recorded (%s)", self.written[-1], exc.strerror)
            return False
        return True

    def close(self) -> None:
        """Finish the file and wait for the disk; later calls do nothing."""
        self._finish_file()
        for writer in self._writers:
            writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _takes(self, audio: av.AudioStream) -> bool:
        """Whether the container can have this sound in its header, which is written before any packet."""
        context = audio.codec_context
        if context is None:
            return False
        name = context.codec.canonical_name
        headed = context.extradata is not None or name in ("mp3", "opus") or name.startswith("pcm")
        return headed and (name in COPIED or self._container == "matroska")

    def _next_file(self) -> FileWriter:
        number = len(self.written) + 1
        path = self._path if number == 1 else self._path.with_suffix(f".{number}{self._path.suffix}")
        writer = FileWriter(path)
        self._writers.append(writer)
        self.written.append(path)
        return writer

    def _finish_file(self) -> None:
        """Write no more into the current file; does not wait for the disk."""
        remuxer, writer = self._remuxer, self._writer
        self._remuxer = self._writer = None
        if writer is None:
            return
        with contextlib.suppress(av.FFmpegError):
            if remuxer is not None:
                writer.put(remuxer.finish())
        writer.end()


def _parameters(stream: av.VideoStream | av.AudioStream) -> object:
    """What must not change within a file."""
    context = stream.codec_context
    size = (stream.width, stream.height) if isinstance(stream, av.VideoStream) else stream.rate
    return context.codec.canonical_name, size, context.extradata
