"""Remuxer: packets as they came, in a container, as bytes."""

import av

from rtpolyp.video.timeline import TIME_BASE

__all__ = ["Remuxer"]

FRAGMENT_SECONDS = 0.5  # at most this much is lost when the process is killed
OPTIONS = {
    "mp4": {
        "movflags": "empty_moov+default_base_moof+frag_discont",
        "use_editlist": "0",  # there is none in an empty moov, and libav would move B-frames for it
        "frag_duration": str(round(FRAGMENT_SECONDS * 1e6)),  # microseconds
    },
    "matroska": {"cluster_time_limit": str(round(FRAGMENT_SECONDS * 1e3))},  # milliseconds
}


class Remuxer:
    """Puts packets of video, and of sound, into a fragmented MP4 or a Matroska stream without metadata.

    Every call returns bytes to append to the file, with which it is complete up to there. A packet of each
    kind is held back until the next one tells how long it lasts: MP4 begins each fragment where the one
    before ends, which would move a picture after a gap. The streams serve as patterns and are not kept.
    Raises av.FFmpegError where the container does not take the codec or the packet.
    """

    def __init__(self, container: str, video: av.VideoStream, audio: av.AudioStream | None) -> None:
        self._pending = bytearray()
        options = OPTIONS[container] | {
            "flush_packets": "1",
            "avoid_negative_ts": "make_non_negative",  # or the first packet would move to zero
            "max_interleave_delta": "1",  # or late or ended sound would hold the picture back
        }
        self._output = av.open(self, "w", format=container, container_options=options)
        self._streams: dict[str, av.stream.Stream] = {}
        self._held: dict[str, av.Packet[av.stream.Stream]] = {}
        for stream in (video, audio):
            if stream is not None:
                target = self._output.add_stream_from_template(stream, opaque=True)
                target.time_base = TIME_BASE
                self._streams[stream.type] = target
        self._output.start_encoding()

    def takes(self, kind: str) -> bool:
        """Whether there is a stream of this kind, "video" or "audio"."""
        return kind in self._streams

    def add(self, packet: "av.Packet[av.stream.Stream]", pts: int, dts: int) -> bytes:
        """Mux a copy of one packet with these times, in TIME_BASE; dts must grow with every packet."""
        kind = packet.stream.type
        copy: av.Packet[av.stream.Stream] = av.Packet(packet)  # type: ignore[arg-type]  # shares its bytes
        copy.stream = self._streams[kind]
        copy.pts, copy.dts = pts, dts
        copy.duration, copy.time_base, copy.is_keyframe = packet.duration, TIME_BASE, packet.is_keyframe
        held, self._held[kind] = self._held.get(kind), copy
        if held is not None:
            held.duration = dts - (held.dts or 0)
            self._output.mux(held)
        return self._taken()

    def finish(self) -> bytes:
        """End the stream."""
        for held in sorted(self._held.values(), key=lambda packet: packet.dts or 0):
            self._output.mux(held)
        self._held.clear()
        self._output.close()
        return self._taken()

    def write(self, data: bytes) -> int:
        """Take what libav writes: it has no file, so that no disk holds up a packet."""
        self._pending += data
        return len(data)

    def _taken(self) -> bytes:
        taken = bytes(self._pending)
        self._pending.clear()
        return taken
