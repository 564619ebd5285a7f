"""Timeline: one clock for the packets of an input that is opened again and again."""

from fractions import Fraction

import av

__all__ = ["TIME_BASE", "Timeline"]

TIME_BASE = Fraction(1, 90_000)  # seconds: RTP's and MPEG's, exact for 24, 25, 30, 50, 60 and 29.97 Hz
JUMP_SECONDS = 10.0  # a sender's clock that runs ahead of the wall clock by more was set anew
BACK_SECONDS = 1.0  # one that goes back by more was, too; by less, it is a sender's carelessness


class Timeline:
    """Moves packets from their sender's clock to one that starts at zero, in units of TIME_BASE.

    After a gap it goes on by the wall clock. A sender's clock that jumps, as that of a looped file does, is
    taken for a sender opened anew. Packets without timestamps get the time of their arrival.
    """

    def __init__(self) -> None:
        self._began: float | None = None  # monotonic, of the first picture ever
        self._offset: int | None = None  # ticks, from the sender's clock to this one
        self._last = self._end = 0  # ticks: where the last picture starts, and where it ends
        self._arrived = 0.0  # ticks of wall clock, of the last picture

    def reopened(self) -> None:
        """The input was opened again: its clock is another one."""
        self._offset = None

    def place(self, packet: "av.Packet[av.stream.Stream]", arrived: float) -> bool:
        """Move one packet that came at `arrived` (monotonic); False for sound before the first picture."""
        is_video = packet.stream.type == "video"
        if self._began is None:
            if not is_video:
                return False
            self._began = arrived
        elapsed = (arrived - self._began) / TIME_BASE
        unit = packet.time_base / TIME_BASE
        pts, dts = (None if stamp is None else round(stamp * unit) for stamp in (packet.pts, packet.dts))
        sent = pts if dts is None else dts
        if sent is None:
            pts = dts = sent = max(round(elapsed), self._end)
            offset = 0
        else:
            if is_video and self._has_jumped(sent, elapsed):
                self._offset = max(round(elapsed), self._end) - sent
            if self._offset is None:
                return False
            offset = self._offset
        packet.pts = None if pts is None else pts + offset
        packet.dts = None if dts is None else dts + offset
        packet.duration = round((packet.duration or 0) * unit)
        packet.time_base = TIME_BASE
        if is_video:
            self._last, self._arrived = sent + offset, elapsed
            self._end = max(self._end, self._last + max(1, packet.duration))
        return True

    def _has_jumped(self, sent: int, elapsed: float) -> bool:
        """Whether the sender's clock is a new one: the first time, or too far from the last picture's."""
        if self._offset is None:
            return True
        ahead = (sent + self._offset - self._last) * TIME_BASE
        return not -BACK_SECONDS < ahead < (elapsed - self._arrived) * TIME_BASE + JUMP_SECONDS
