"""Timeline: one clock for the packets of an input, whatever its sender's clock does."""

from fractions import Fraction
from typing import TypeAlias

import av

from rtpolyp.video.sound_times import SoundTimes

__all__ = ["TIME_BASE", "Timeline"]

TIME_BASE = Fraction(1, 90_000)  # seconds: RTP's and MPEG's, exact for 24, 25, 30, 50, 60 and 29.97 Hz
# A clock that runs ahead by more was set anew, as that of a joined or looped stream is; the same ten seconds
# as of `ffmpeg -dts_delta_threshold`. On a live source they count beyond the wall clock.
AHEAD_SECONDS = Fraction(10)
# One that goes back by more was, too. A sender may be careless; a file's decoding times always grow, and a
# time that stands for a missing decoding time may be earlier than the last one by 16 reordered pictures.
BACK_SECONDS_LIVE = Fraction(1)
BACK_SECONDS_FILE = Fraction(1, 10)
LATE_SECONDS = Fraction(5)  # for so long after such a reset, sound may still come from before it
HELD_PACKETS = 256  # of sound that wait for the picture's clock to be set anew as well: some five seconds
HELD_BYTES = 64 * 2**20  # of sound that waits for the first picture, which a file may not have
PACKET_BYTES = 1024  # that a packet takes beside its content

Packet: TypeAlias = "av.Packet[av.stream.Stream]"


class Timeline:
    """Moves packets from their sender's clock to one that starts at zero and goes on through every reset.

    The picture's packets set the clock, and sound follows it. Where the sender's clock is set anew, a picture
    follows the one before without a gap; on a live source, after a loss, it goes on by the wall clock.
    `arrived` (monotonic seconds) is of live sources only, where a packet without timestamps gets the time of
    its arrival; of an input that waits for its reader, a file or a pipe, it is left without one. Packets get
    the time base `base`, or keep theirs. `may_leap` is False for containers whose times never leap ahead but
    for a pause in the recording.
    """

    def __init__(self, *, live: bool, may_leap: bool = True, base: Fraction | None = None) -> None:
        self.last_reset: float | None = None  # seconds on this clock, where the sender's was set anew
        self.first_offset: Fraction | None = None  # seconds, from the sender's first clock to this one
        self._live, self._may_leap, self._base = live, may_leap, base
        self._began: float | None = None  # monotonic, of the first picture ever
        self._offset: Fraction | None = None  # seconds, from the sender's clock to this one
        self._before: Fraction | None = None  # the offset until the last reset
        self._last = Fraction(0)  # seconds: decoding time of the last picture, as far as it has one
        self._last_is_decoding = False
        self._end = Fraction(0)  # seconds, where the last picture to be shown ends
        self._usual = Fraction(0)  # seconds from a picture to the next
        self._arrived = Fraction(0)  # seconds of wall clock, of the last picture
        self._sound_end: Fraction | None = None  # seconds
        self._sound_times = SoundTimes()
        self._held: list[Packet] = []  # sound
        self._held_bytes = 0  # of what waits for the first picture

    def reopened(self, *, may_leap: bool = True) -> None:
        """The input was opened, at first or again: its clock is another one."""
        self._may_leap = may_leap
        self._offset = self._before = self._sound_end = None
        self._sound_times = SoundTimes()
        self._held.clear()

    def place(self, packet: Packet, arrived: float = 0.0) -> list[Packet]:
        """Move one packet; return those that have their place now, mostly this one.

        Sound that comes before the first picture, or before a reset that the picture will follow, waits.
        """
        if packet.stream.type == "video":
            return [self._place_picture(packet, arrived), *self._release()]
        self._sound_times.complete(packet)
        sent = _sent(packet)
        if self._offset is None:
            if not self._live and self._held_bytes < HELD_BYTES:
                self._held.append(packet)
                self._held_bytes += packet.size + PACKET_BYTES
        elif sent is None:
            return []
        elif len(self._held) < HELD_PACKETS and (self._held or self._is_foreign(sent)):
            self._held.append(packet)
        else:
            return [*self._release(), self._place_sound(packet, sent)]
        return []

    def rest(self) -> list[Packet]:
        """The sound that still waits, at the end of the input."""
        return [] if self._offset is None else self._release()

    def _place_picture(self, packet: Packet, arrived: float) -> Packet:
        if self._began is None:
            self._began = arrived
        elapsed = Fraction(arrived - self._began) if self._live else self._end
        sent = _sent(packet)
        if sent is None:
            if self._live:
                now = max(elapsed, self._end)
                packet.pts = packet.dts = 0
                self._move(packet, now)
                self._note(packet, now, elapsed)
            return packet
        if self._has_jumped(packet, sent, elapsed):
            first = sent
            if self._offset is not None:
                if not self._live and packet.pts is not None:
                    first = packet.pts * packet.time_base
                self.last_reset = float(max(elapsed, self._end))
            self._before, self._offset = self._offset, max(elapsed, self._end) - first
            if self.first_offset is None:
                self.first_offset = self._offset
        assert self._offset is not None
        self._move(packet, self._offset)
        self._note(packet, sent + self._offset, elapsed)
        return packet

    def _has_jumped(self, packet: Packet, sent: Fraction, elapsed: Fraction) -> bool:
        """Whether the sender's clock is a new one: the first time, or too far from the last picture's."""
        if self._offset is None:
            return True
        ahead = sent + self._offset - self._last
        if self._live:
            return not -BACK_SECONDS_LIVE < ahead < elapsed - self._arrived + AHEAD_SECONDS
        back = BACK_SECONDS_FILE if self._last_is_decoding and packet.dts is not None else BACK_SECONDS_LIVE
        return ahead < -back or (self._may_leap and ahead > AHEAD_SECONDS)

    def _note(self, packet: Packet, last: Fraction, elapsed: Fraction) -> None:
        lasts = (packet.duration or 0) * packet.time_base
        if not lasts:  # not every container says; then as long as the pictures before
            lasts = self._usual = last - self._last if 0 < last - self._last < 1 else self._usual
        self._last, self._arrived = last, elapsed
        self._last_is_decoding = packet.dts is not None
        shown = last if self._live or packet.pts is None else packet.pts * packet.time_base
        self._end = max(self._end, shown + max(lasts, packet.time_base))

    def _is_foreign(self, sent: Fraction) -> bool:
        """Whether sound is of a clock that the picture does not follow yet."""
        assert self._offset is not None
        if self._sound_end is None:
            return False
        distance = sent + self._nearest(sent) - self._sound_end
        behind = -BACK_SECONDS_LIVE if self._live else -BACK_SECONDS_FILE
        return distance < behind or (self._may_leap and distance > AHEAD_SECONDS)

    def _nearest(self, sent: Fraction) -> Fraction:
        """The offset for sound that was `sent`: after a reset some may still be from before it."""
        assert self._offset is not None
        end, before = self._sound_end, self._before
        if end is None or before is None or self._last - (self.last_reset or 0.0) > LATE_SECONDS:
            return self._offset
        return min(self._offset, before, key=lambda offset: abs(sent + offset - end))

    def _place_sound(self, packet: Packet, sent: Fraction) -> Packet:
        offset = self._nearest(sent)
        self._move(packet, offset)
        self._sound_end = sent + offset + (packet.duration or 0) * packet.time_base
        return packet

    def _release(self) -> list[Packet]:
        """The sound that waited, where the picture's clock is the one to go by."""
        held, self._held = self._held, []
        placed = []
        for index, packet in enumerate(held):
            sent = _sent(packet)
            if sent is None:
                continue
            if index == 0 and len(held) < HELD_PACKETS and self._is_foreign(sent):
                self._held = held  # the picture has not come to it yet
                return []
            placed.append(self._place_sound(packet, sent))
        return placed

    def _move(self, packet: Packet, offset: Fraction) -> None:
        base = self._base or packet.time_base
        unit, shift = packet.time_base / base, round(offset / base)
        packet.pts = None if packet.pts is None else round(packet.pts * unit) + shift
        packet.dts = None if packet.dts is None else round(packet.dts * unit) + shift
        packet.duration = round((packet.duration or 0) * unit)
        packet.time_base = base


def _sent(packet: Packet) -> Fraction | None:
    """The sender's decoding time of a packet in seconds, else its presentation time."""
    ticks = packet.pts if packet.dts is None else packet.dts
    return None if ticks is None else ticks * packet.time_base
