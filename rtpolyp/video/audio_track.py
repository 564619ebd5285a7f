"""AudioTrack: the compressed sound beside a picture, as far as its source was read."""

from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction

import av

__all__ = ["AudioTrack"]

UNSAID_SECONDS = 0.5  # of sound before the first picture; an encoder's run-up and interleaving are shorter


class AudioTrack:
    """Packets of an audio stream on the clock of the frames; a source fills it, a sink empties it.

    A sink that wants the sound calls `subscribe` before the frames are taken: without that, nothing is
    kept. Only what the source has read for its frames is there, so memory stays flat and an input is read
    once, be it a file or a pipe. `remark` tells whoever runs this, and the results, what became of it.
    """

    def __init__(self, stream: av.AudioStream, remark: Callable[[str], None], *, choice: str = "") -> None:
        self.stream, self.remark = stream, remark
        self.is_wanted = False
        self._choice = choice  # a remark on the tracks that are left out
        self._zero = Fraction(0)  # seconds on the packets' clock, where that of the frames begins
        self._packets: deque[av.Packet[av.AudioStream]] = deque()
        self._early = 0.0  # seconds of sound before the first picture

    def subscribe(self) -> None:
        """Somebody takes the packets from now on."""
        self.is_wanted = True
        if self._choice:
            self.remark(self._choice)

    def begin(self, zero: Fraction) -> None:
        """The source knows at which time of its packets, in seconds, the first picture is shown."""
        self._zero = zero

    def put(self, packet: "av.Packet[av.AudioStream]") -> None:
        """The source read one packet."""
        self._packets.append(packet)

    def forget(self) -> None:
        """Nobody wants the sound."""
        self._packets.clear()

    def take(self, seconds: float) -> Iterator["av.Packet[av.AudioStream]"]:
        """Packets that begin before `seconds` of presentation time; sound before zero is left out."""
        while self._packets:
            packet = self._packets[0]
            if packet.pts is None:
                self._packets.popleft()
                continue
            shift = round(self._zero / packet.time_base)
            begin = packet.pts - shift
            if float(begin * packet.time_base) >= seconds:
                break
            self._packets.popleft()
            if begin < 0:
                self._early += float((packet.duration or 0) * packet.time_base)
                continue
            self._say_early()
            packet.pts, packet.dts = begin, begin
            yield packet

    def _say_early(self) -> None:
        early, self._early = self._early, 0.0
        if early > UNSAID_SECONDS:
            self.remark(f"{early:.1f} s of sound before the first picture are left out")
