"""PacketTimes: when each packet is shown and decoded, where its container does not say both."""

from typing import TypeAlias

import av

from rtpolyp.video.picture_decoder import gives_no_showing_times
from rtpolyp.video.timeline import TIME_BASE

__all__ = ["Packet", "PacketTimes"]

Packet: TypeAlias = "av.Packet[av.stream.Stream]"
REORDERED = 16  # pictures that H.264 and HEVC may hold back


class PacketTimes:
    """Completes the times of one connection's packets.

    Matroska has no decoding time for its first packets: they get the ticks just before their key frame is
    shown. AVI and raw streams tell no time of showing, and the latter none at all: their pictures, which are
    not reordered where they are copied, are shown when they are decoded, one after the other.
    """

    def __init__(self, video: av.VideoStream) -> None:
        self._untimed = gives_no_showing_times(video.container)
        self._last = -1  # dts
        self._end = 0  # where the last packet ends that had no time

    def __call__(self, packet: Packet) -> tuple[int, int] | None:
        """Its pts and dts in TIME_BASE; None for a packet that cannot be placed."""
        if packet.stream.type != "video":
            return None if packet.pts is None or packet.dts is None else (packet.pts, packet.dts)
        if not self._untimed:
            return None if packet.pts is None else (packet.pts, self._decoding_time(packet, packet.pts))
        if packet.dts is None:
            dts, lasts = self._end, (packet.duration or 0) * packet.time_base
            self._end += round(lasts / TIME_BASE)
            return dts, dts
        return packet.dts, packet.dts

    def _decoding_time(self, packet: Packet, pts: int) -> int:
        if packet.dts is not None:
            self._last = packet.dts
        else:
            self._last = pts - REORDERED if packet.is_keyframe else self._last + 1
        return self._last
