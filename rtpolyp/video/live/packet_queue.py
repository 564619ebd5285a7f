"""PacketQueue: packets on their way from the thread that reads them to the one that decodes them."""

import threading
import time
from collections import deque
from dataclasses import dataclass

import av

__all__ = ["LIMIT_BYTES", "LIMIT_PACKETS", "Arrival", "PacketQueue"]

PREFETCH = 16  # packets read ahead where the input waits
LIMIT_BYTES = 64 * 1024 * 1024  # where it does not: some 20 s of 1080p
LIMIT_PACKETS = 8192  # as well: empty ones cost a kilobyte each, too
LAG_SECONDS = 0.5  # a decoder that is further behind leaps to the newest key frame


@dataclass(frozen=True)
class Arrival:
    """One packet as it came."""

    packet: "av.Packet[av.stream.Stream]"
    at: float  # time.monotonic()
    decode: bool = True  # False: the decoder is behind, and a newer key frame follows

    @property
    def is_key(self) -> bool:
        """Whether decoding can start here."""
        return self.packet.stream.type == "video" and self.packet.is_keyframe


class PacketQueue:
    """A bounded queue for one writer and one reader.

    An input that waits (`waits=True`: a file, a pipe) is read no further than needed, and nothing is lost.
    One that does not is always read: a decoder that falls behind is told to leap to the newest key frame,
    and if the queue itself overflows, all of it goes and the next key frame is waited for.
    """

    def __init__(self, *, waits: bool) -> None:
        self.waits = waits  # may change until the first packet
        self._changed = threading.Condition()
        self._arrivals: deque[Arrival] = deque()
        self._bytes = 0
        self._leap = 0  # packets still to be given without decoding
        self._wants_key = self._closed = self._ended = False
        self._error: BaseException | None = None
        self._last_put = time.monotonic()
        self.dropped = 0  # packets lost to an overflow

    @property
    def idle_seconds(self) -> float:
        """Time since the last packet came in."""
        return time.monotonic() - self._last_put

    def put(self, packet: "av.Packet[av.stream.Stream]") -> bool:
        """Add one packet; False once the reader has closed the queue."""
        arrival = Arrival(packet, time.monotonic())
        with self._changed:
            while self.waits and len(self._arrivals) >= PREFETCH and not self._closed:
                self._changed.wait()
            self._last_put = time.monotonic()
            too_much = self._bytes + packet.size > LIMIT_BYTES or len(self._arrivals) >= LIMIT_PACKETS
            if too_much and not self.waits:
                self.dropped += len(self._arrivals)
                self._arrivals.clear()
                self._bytes = self._leap = 0
                self._wants_key = True
            if self._wants_key and not arrival.is_key:
                self.dropped += 1
            else:
                self._wants_key = False
                self._arrivals.append(arrival)
                self._bytes += packet.size
                self._changed.notify_all()
            return not self._closed

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more will come: the input ended, or failed with `error`."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def get(self, timeout: float) -> Arrival | None:
        """The next packet, or None when none comes in time.

        At the end, raises EOFError or the error with which the input failed.
        """
        with self._changed:
            if not self._arrivals and not self._ended:
                self._changed.wait(timeout)
            if not self._arrivals:
                if self._ended:
                    raise EOFError if self._error is None else self._error
                return None
            if not self._leap and not self.waits:
                self._leap = self._packets_to_leap()
            arrival = self._arrivals.popleft()
            self._bytes -= arrival.packet.size
            self._changed.notify_all()
        if self._leap:
            self._leap -= 1
            return Arrival(arrival.packet, arrival.at, decode=False)
        return arrival

    def close(self) -> None:
        """The reader wants nothing more; wakes a writer that waits."""
        with self._changed:
            self._closed = True
            self._arrivals.clear()
            self._changed.notify_all()

    def _packets_to_leap(self) -> int:
        """How many packets lie before the newest key frame, where the oldest has waited for too long."""
        if time.monotonic() - self._arrivals[0].at < LAG_SECONDS:
            return 0
        keys = (index for index in range(len(self._arrivals) - 1, 0, -1) if self._arrivals[index].is_key)
        return next(keys, 0)
