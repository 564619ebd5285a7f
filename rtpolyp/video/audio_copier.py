"""AudioCopier: a source's sound, carried into a recording as far as its picture has got."""

import logging
from collections.abc import Iterator

import av
from av.codec import Codec
from av.stream import Discard
from typing_extensions import Self

from rtpolyp.video.access.opening import open_file
from rtpolyp.video.live.faults import InputFault
from rtpolyp.video.stream_format import AudioTrack

__all__ = ["AudioCopier"]

log = logging.getLogger(__name__)

# What players expect in an MP4 whose header is written before the first packet. AC-3 is not among them,
# since libav builds its header from a packet; nor is PCM, which MP4 may hold but hardly anything plays.
COPIED = ("aac", "alac", "flac", "mp3", "opus")
BIT_RATE = 160_000  # bits per second, of AAC made from anything else
FALLBACK_RATE = 48_000  # samples per second, where AAC does not know the source's


class AudioCopier:
    """Reads an audio track a second time, beside the frames, and muxes it into `output`.

    Packets are copied where MP4 can hold the codec and otherwise encoded as AAC. Only what the picture has
    reached is read, so memory stays flat. Sound that cannot be read or decoded is left out with a warning;
    the picture goes on. Create it before the output's header is written; `advance` raises av.FFmpegError
    when muxing fails.
    """

    def __init__(self, track: AudioTrack, output: av.container.OutputContainer) -> None:
        self._track, self._output = track, output
        self._input = open_file(track.path)
        for stream in self._input.streams:
            if stream.index != track.index:
                stream.discard = Discard.all  # where the container has an index, they are not even read
        self._packets = self._guarded(self._open())
        self._next: av.Packet[av.AudioStream] | None = None

    def advance(self, seconds: float) -> None:
        """Mux every packet that begins before `seconds` of presentation time."""
        while (packet := self._next or next(self._packets, None)) is not None:
            self._next = packet
            if float((packet.pts or 0) * packet.time_base) >= seconds:
                return
            self._output.mux(packet)
            self._next = None

    def close(self) -> None:
        """Release the track; later calls do nothing."""
        self._input.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _open(self) -> Iterator["av.Packet[av.AudioStream]"]:
        source = self._input.streams[self._track.index]
        if not isinstance(source, av.AudioStream) or source.codec_context is None:
            log.warning("%s: its sound is in an unknown codec and is left out", self._track.path)
            return iter(())
        # AAC of a transport stream has its parameters in each packet instead of a header.
        headed = source.codec_context.extradata is not None or source.codec.canonical_name == "mp3"
        if source.codec.canonical_name in COPIED and headed:
            return self._copied(source, self._output.add_stream_from_template(source))
        known = Codec("aac", "w").audio_rates or ()
        rate = source.rate if source.rate in known else FALLBACK_RATE
        layout = "mono" if source.channels == 1 else "stereo"
        encoder = self._output.add_stream("aac", rate=rate, bit_rate=BIT_RATE, layout=layout)
        return self._encoded(source, encoder)

    def _guarded(
        self, packets: Iterator["av.Packet[av.AudioStream]"]
    ) -> Iterator["av.Packet[av.AudioStream]"]:
        """Packets up to the end or the first error; those before zero hold an encoder's run-up, no sound."""
        try:
            yield from (packet for packet in packets if packet.pts is not None and packet.pts >= 0)
        except av.FFmpegError as exc:
            log.warning("%s: its sound breaks off (%s)", self._track.path, exc.strerror)
        except InputFault as exc:
            log.warning("%s: its sound breaks off (%s)", self._track.path, exc.fault.reason)

    def _copied(
        self, source: av.AudioStream, target: av.AudioStream
    ) -> Iterator["av.Packet[av.AudioStream]"]:
        for packet in self._input.demux(source):
            packet.stream = target
            yield packet

    def _encoded(
        self, source: av.AudioStream, target: av.AudioStream
    ) -> Iterator["av.Packet[av.AudioStream]"]:
        damaged = 0  # packets
        for packet in self._input.demux(source):
            try:
                frames = packet.decode()
            except av.FFmpegError as exc:
                if not damaged:
                    log.warning(
                        "%s: its sound is damaged (%s); skipping that", self._track.path, exc.strerror
                    )
                damaged += 1
                continue
            for frame in frames:
                yield from target.encode(frame)
        yield from target.encode(None)
