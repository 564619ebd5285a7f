"""VideoSink: an H.264 MP4 that keeps the source's clock and sound and survives being killed."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
from av.codec.context import Flags

from rtpolyp.checks import require_choice, require_number
from rtpolyp.errors import OutputError
from rtpolyp.video.audio_copier import AudioCopier
from rtpolyp.video.contract import Source
from rtpolyp.video.decoder import codec_threads
from rtpolyp.video.file_faults import write_error
from rtpolyp.video.frame import Frame, Segmentation
from rtpolyp.video.output_paths import prepare_file
from rtpolyp.video.planes import plane_view
from rtpolyp.video.stream_format import StreamFormat

__all__ = ["EncoderSettings", "VideoSink"]

PRESETS = (  # libx264's
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)
DEFAULT_RATE = Fraction(25)  # frames per second, where the source states none; only spaces key frames


@dataclass(frozen=True)
class EncoderSettings:
    """How libx264 encodes.

    Measured on a real clip enlarged to 1280x1024, one core (ms, KiB a frame, luma PSNR): ultrafast at
    CRF 20 8.2 ms, 65 KiB, 43.6 dB; with its deblocking filter on 9.0 ms, 63 KiB, 44.3 dB: the default;
    superfast 17.0 ms, 61 KiB, 45.6 dB; veryfast 24.9 ms, 52 KiB, 45.4 dB. Raises InputError where a field is
    not what its line says.
    """

    preset: str = "ultrafast"
    crf: int = 20  # constant rate factor, 0 to 51; lower is better and larger
    parameters: str = "deblock=1,0,0"  # libx264's own, key=value:…
    fragment_seconds: float = 0.5  # at most this much is lost when the process is killed

    def __post_init__(self) -> None:
        require_choice("preset", self.preset, PRESETS)
        require_number("crf", self.crf, least=0, most=51, example="a constant rate factor, e.g. 20")
        require_number("fragment_seconds", self.fragment_seconds, above=0, example="seconds, e.g. 0.5")


class VideoSink:
    """Encodes frames as a fragmented MP4 with the source's pts, colour tags, pixel aspect and sound.

    Each fragment is complete in the file as soon as it is written, so what was recorded stays readable
    after a crash, a full disk or `kill -9`. That forbids B-frames and lookahead, whose delay would also
    shift the timestamps. Odd sizes gain a repeated last column or row, since 4:2:0 H.264 has none. Sound
    ends with the last frame. Raises OutputError when the file cannot be written, InputError when it is the
    source itself.
    """

    def __init__(
        self, path: str | Path, source: Source, *, audio: bool = True, settings: EncoderSettings | None = None
    ) -> None:
        path = Path(path)
        if source.format is None:
            raise OutputError(f"{path}: images that stand alone make no video; give a folder for them")
        if path.suffix.lower() != ".mp4":
            raise OutputError(f"{path}: videos are written as MP4; name the file *.mp4")
        prepare_file(path, source)
        self._path = path
        self._frames = 0
        self._end = 0.0  # seconds, of the last frame
        self._audio: AudioCopier | None = None
        self._held: av.Packet[av.VideoStream] | None = None  # until it is known how long it lasts
        self._broken = self._closed = False
        settings = settings or EncoderSettings()
        with self._translated(), contextlib.ExitStack() as stack:
            self._container = stack.enter_context(_open(path, settings))
            self._video = _add_video(self._container, source.format, settings)
            if audio and source.audio is not None:
                self._audio = AudioCopier(source.audio, self._container)
            self._container.start_encoding()  # writes the header: the file is a valid MP4 from here on
            self._resources = stack.pop_all()

    def write(self, frame: Frame, segmentation: Segmentation | None = None) -> None:
        """Encode one frame and mux the sound up to it; what was found in it does not matter here."""
        with self._translated():
            if self._audio is not None:
                self._audio.advance(frame.pts_seconds)
            odd = frame.size[0] % 2 or frame.size[1] % 2
            native = _padded(frame.native) if odd else frame.native
            for packet in self._video.encode(native):
                self._mux_held(until=packet.pts)
                self._held = packet
        self._frames += 1
        self._end = frame.pts_seconds + float(frame.native.duration * frame.time_base)

    def close(self) -> None:
        """Finish the file; later calls do nothing."""
        if self._closed:
            return
        self._closed = True
        if self._broken:  # the error was raised before; libav still has to let go of the file
            with contextlib.suppress(av.FFmpegError):
                self._resources.close()
            return
        with self._translated(), self._resources:
            for packet in self._video.encode(None):
                self._mux_held(until=packet.pts)
                self._held = packet
            self._mux_held()
            if self._audio is not None:
                self._audio.finish(self._end)

    def _mux_held(self, until: int | None = None) -> None:
        """Mux the last packet, which lasts up to the next one's pts: MP4 keeps durations, and no times.

        A source's own durations are guesses where its frame rate varies, and libav would begin the next
        fragment by them, which moved its first frame by up to 80 ms.
        """
        if self._held is None:
            return
        if until is not None and self._held.pts is not None and until > self._held.pts:
            self._held.duration = until - self._held.pts
        self._container.mux(self._held)
        self._held = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except av.FFmpegError as exc:
            self._broken = True
            kept = f" after {self._frames} frames, which stay readable" if self._frames else ""
            raise write_error(self._path, exc, kept=kept) from exc


def _open(path: Path, settings: EncoderSettings) -> av.container.OutputContainer:
    options = {
        # frag_discont: the first fragment starts where the stream does, instead of at zero
        "movflags": "empty_moov+default_base_moof+frag_discont",
        "frag_duration": str(round(settings.fragment_seconds * 1e6)),  # microseconds
        "flush_packets": "1",
        "avoid_negative_ts": "make_non_negative",
        "max_interleave_delta": "1",  # or late or ended sound would hold the picture back for ten seconds
    }
    return av.open(f"file:{path}", "w", format="mp4", container_options=options)


def _add_video(
    container: av.container.OutputContainer, source: StreamFormat, settings: EncoderSettings
) -> av.VideoStream:
    rate = (source.frame_rate or DEFAULT_RATE).limit_denominator(65_535)
    options = {
        "preset": settings.preset,
        "crf": str(settings.crf),
        "tune": "zerolatency",  # no B-frames, no lookahead: a frame goes in, its packet comes out
        "g": str(max(1, round(rate))),  # a key frame a second, for seeking
        "x264-params": settings.parameters,
    }
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.width, stream.height = (side + side % 2 for side in source.size)
    stream.pix_fmt = source.pixel_format
    context, colour = stream.codec_context, source.colour
    context.time_base = source.time_base
    context.thread_count = codec_threads()
    context.flags |= Flags.frame_duration  # or the last frame would last as long as the average one
    context.colorspace, context.color_range = colour.matrix, colour.range
    context.color_primaries, context.color_trc = colour.primaries, colour.transfer
    if source.sample_aspect_ratio is not None:
        context.sample_aspect_ratio = source.sample_aspect_ratio
    return stream


def _padded(native: av.VideoFrame) -> av.VideoFrame:
    """A copy of even size; the planes of chroma keep theirs, which already covers the odd pixel."""
    width, height = native.width, native.height
    even = av.VideoFrame(width + width % 2, height + height % 2, native.format.name)
    even.pts, even.time_base, even.duration = native.pts, native.time_base, native.duration
    for index in range(3):
        plane, source = plane_view(even, index), plane_view(native, index)
        rows, columns = source.shape
        plane[:rows, :columns] = source
        plane[:rows, columns:] = source[:, -1:]
        plane[rows:] = plane[rows - 1]
    return even
