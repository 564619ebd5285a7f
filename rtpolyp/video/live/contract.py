"""What a live source tells beside its frames: outages, losses, and its packets."""

from dataclasses import dataclass
from typing import Protocol

import av

__all__ = ["Losses", "Outage", "PacketTap"]


@dataclass(frozen=True)
class Outage:
    """No frames come at present; the source is trying to get them back."""

    reason: str  # a few words for the screen and the log, without credentials
    since: float  # time.monotonic()


@dataclass
class Losses:
    """What a live source has lost so far."""

    outages: int = 0
    corrupt_packets: int = 0  # marked as damaged on the way, or refused by the decoder
    skipped_packets: int = 0  # not decoded, to catch up with the stream


class PacketTap(Protocol):
    """Sees every packet of a live source before it is decoded, on the thread that iterates over the source.

    It neither blocks nor raises, or the picture would.
    """

    def opened(self, video: av.VideoStream, audio: av.AudioStream | None) -> None:
        """Be told that the input was opened, at first or again, before its first packet.

        The streams describe the packets to come and are valid during this call only; `audio` is None where
        there is none or none is wanted.
        """

    def packet(self, packet: "av.Packet[av.stream.Stream]") -> None:
        """Take one packet, whose times are on the clock of the frames; `packet.stream.type` tells its kind.

        The packet is still to be decoded: nothing of it may be changed.
        """
