"""AudioCopier: a source's sound, carried into a recording as far as its picture has got."""

import io
from collections import deque
from typing import TypeAlias

import av
from av.codec import Codec

from rtpolyp.video.audio_track import AudioTrack

__all__ = ["COPIED", "AudioCopier"]

# What players expect in an MP4 whose header is written before the first packet. AC-3 is not among them,
# since libav builds its header from a packet; nor is PCM, which MP4 may hold but hardly anything plays.
COPIED = ("aac", "alac", "flac", "mp3", "opus")
BIT_RATE = 160_000  # bits per second, of AAC made from anything else
FALLBACK_RATE = 48_000  # samples per second, where AAC does not know the source's

Packet: TypeAlias = "av.Packet[av.AudioStream]"


class AudioCopier:
    """Muxes an audio track into `output`, beside the frames.

    Packets are copied where MP4 can hold the codec and otherwise encoded as AAC, in stereo where there are
    more channels. Sound that cannot be read or decoded is left out with a remark; the picture goes on.
    Create it before the output's header is written; `advance` raises av.FFmpegError when muxing fails.
    """

    def __init__(self, track: AudioTrack, output: av.container.OutputContainer) -> None:
        self._track, self._output = track, output
        source = track.stream
        is_known = source.codec_context is not None and source.channels > 0
        self._encodes = is_known and not _can_be_copied(source)
        self._target: av.AudioStream | None = None
        self._resampler: av.AudioResampler | None = None
        self._damaged = False
        self._ready: deque[Packet] = deque()  # to be muxed once the picture is there
        self._lasts = 0  # ticks, of the last packet that was copied
        self._last = -1  # pts of the last packet that was muxed
        if not is_known:
            track.remark("its sound is in a codec that is unknown here, and is left out")
            return
        if self._encodes:
            self._target = _encoder(source, output)
        else:
            self._target = output.add_stream_from_template(source)
        track.subscribe()

    def advance(self, seconds: float) -> None:
        """Mux every packet that begins before `seconds` of presentation time."""
        for packet in self._track.take(seconds):
            if self._target is None:
                continue
            if self._encodes:
                self._ready += self._encoded(packet)
            else:
                packet.stream = self._target
                # Matroska may leave the last packet without one, which would then end where it begins.
                packet.duration = self._lasts = packet.duration or self._lasts
                self._ready.append(packet)
        self._mux(seconds)

    def finish(self, seconds: float) -> None:
        """Mux the rest of the sound up to `seconds`, where the picture ends."""
        self.advance(seconds)
        if self._target is None or not self._encodes:
            return
        try:
            for frame in [*self._resampled(None), None]:
                self._ready += self._target.encode(frame)
        except (av.FFmpegError, ValueError) as exc:
            self._give_up(exc)
        self._mux(seconds)

    def _mux(self, seconds: float) -> None:
        """Where sound overlaps, as at the joint of two recordings, the first is kept."""
        while self._ready and float((self._ready[0].pts or 0) * self._ready[0].time_base) < seconds:
            packet = self._ready.popleft()
            if packet.pts is not None and packet.pts > self._last:
                self._last = packet.dts = packet.pts
                self._output.mux(packet)

    def _encoded(self, packet: Packet) -> list[Packet]:
        target = self._target
        assert target is not None
        try:
            frames = packet.decode()
        except av.FFmpegError as exc:
            if not self._damaged:
                self._track.remark(f"its sound is damaged ({exc.strerror}); skipping that")
            self._damaged = True
            return []
        try:
            return [
                out for frame in frames for whole in self._resampled(frame) for out in target.encode(whole)
            ]
        except (av.FFmpegError, ValueError) as exc:
            self._give_up(exc)
            return []

    def _resampled(self, frame: av.AudioFrame | None) -> list[av.AudioFrame]:
        """The sound in the encoder's format, whatever the source's; None gives what is held back."""
        if self._resampler is None:
            if frame is None:
                return []
            assert self._target is not None
            context = self._target.codec_context
            self._resampler = av.AudioResampler(context.format, context.layout, context.sample_rate)
        try:
            return self._resampler.resample(frame)
        except ValueError:  # PyAV's, of a frame in another format than the first
            rest, self._resampler = self._resampler.resample(None), None
            return rest + self._resampled(frame)

    def _give_up(self, exc: Exception) -> None:
        self._track.remark(f"its sound breaks off ({exc})")
        self._target = None


def _encoder(source: av.AudioStream, output: av.container.OutputContainer) -> av.AudioStream:
    known = Codec("aac", "w").audio_rates or ()
    rate = source.rate if source.rate in known else FALLBACK_RATE
    layout = "mono" if source.channels == 1 else "stereo"
    return output.add_stream("aac", rate=rate, bit_rate=BIT_RATE, layout=layout)


def _can_be_copied(source: av.AudioStream) -> bool:
    """Whether an MP4 takes these packets: a header is written in memory, to see."""
    # AAC of a transport stream has its parameters in each packet instead of a header.
    headed = source.codec_context.extradata is not None or source.codec.canonical_name == "mp3"
    if source.codec.canonical_name not in COPIED or not headed:
        return False
    try:
        with av.open(io.BytesIO(), "w", format="mp4", container_options={"movflags": "empty_moov"}) as trial:
            trial.add_stream_from_template(source)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True
