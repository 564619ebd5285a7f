"""SoundTimes: when each packet of sound begins, where libav does not say."""

from fractions import Fraction
from typing import TypeAlias

import av

__all__ = ["SoundTimes"]

Packet: TypeAlias = "av.Packet[av.stream.Stream]"


class SoundTimes:
    """Completes the sound of an input that cannot seek, such as a named pipe with MPEG-TS.

    libav parts its first burst into packets before it knows how long one lasts: all but the first come
    without a time and without a duration, up to 0.3 s at 60 pictures a second. They follow one another.
    """

    def __init__(self) -> None:
        self._end: Fraction | None = None  # seconds on the sender's clock, of the last packet

    def complete(self, packet: Packet) -> None:
        """Give a packet of sound its duration, and its time after the one before it."""
        context = packet.stream.codec_context
        if not isinstance(context, av.AudioCodecContext):
            return
        if not packet.duration and context.frame_size and context.sample_rate:
            packet.duration = round(Fraction(context.frame_size, context.sample_rate) / packet.time_base)
        if packet.pts is None and packet.dts is None and self._end is not None:
            packet.pts = packet.dts = round(self._end / packet.time_base)
        ticks = packet.pts if packet.dts is None else packet.dts
        self._end = None if ticks is None else (ticks + (packet.duration or 0)) * packet.time_base
