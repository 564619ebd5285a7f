"""Receiver: the pictures of a feed, through every loss of it."""

import logging
import math
import random
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any

import av

from rtpolyp.errors import InputError
from rtpolyp.video.contract import Losses, Outage, PacketTap
from rtpolyp.video.frame_normaliser import FrameNormaliser
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.live.connection import Connection
from rtpolyp.video.live.faults import CHECK, InputFault, explain
from rtpolyp.video.live.feed import Feed
from rtpolyp.video.live.packet_queue import LIMIT_BYTES, LIMIT_PACKETS, Arrival
from rtpolyp.video.picture_decoder import PictureDecoder
from rtpolyp.video.remarks import Remarks
from rtpolyp.video.stream_choice import clock_may_leap
from rtpolyp.video.timeline import TIME_BASE, Timeline

__all__ = ["Receiver"]

log = logging.getLogger(__name__)

TICK_SECONDS = 0.1  # how long it waits for a packet before it looks around
FIRST_DELAY, LONGEST_DELAY = 0.25, 4.0  # seconds, before the input is opened again
QUIET_SECONDS = 10.0  # between two lines of a source that comes and goes; the event log has every change
JITTER = 0.2  # of the delay, so that many readers of one sender do not come back at once


class Receiver:
    """Opens a feed, decodes it, and opens it again when it ends, fails or falls silent; for one thread.

    Until a picture was `delivered`, a fault raises InputError, one line without credentials.
    """

    def __init__(self, feed: Feed, options: InputOptions, stop: threading.Event) -> None:
        self.tap: PacketTap | None = None
        self.losses = Losses()
        self.remarks = Remarks(feed.name)
        self.outage: Outage | None = None
        self.connection: Connection
        self._feed, self._options, self._stop = feed, options, stop
        self._timeline = Timeline(live=feed.at_end == "reopen", base=TIME_BASE)
        self._began = time.monotonic()
        self._started = False
        self._zero = 0  # ticks of the packets, where the frames' clock begins
        self._barren: float | None = None  # monotonic, of the first of the packets without a picture
        self._said_at = -math.inf  # monotonic, of the last line about an outage
        self._attempts = 0  # to open the input, since the last picture
        self._untapped: list[av.Packet[av.stream.Stream]] | None = []  # of before the tap was there
        self._untapped_bytes = 0

    def pictures(self) -> Generator[av.VideoFrame, None, None]:
        """Conformed frames in display order, with pts in TIME_BASE where the sender gave any."""
        while not self._stop.is_set():
            self.connection = Connection(self._feed, self._options)
            try:
                if self._is_open():
                    yield from self._decoded()
            except Exception as exc:
                if not self._goes_on_after(exc):
                    return
            finally:
                self.connection.close()
                self.losses.skipped_packets += self.connection.packets.dropped
            self._stop.wait(self._delay())

    def delivered(self) -> None:
        """A picture goes to whoever shows it: there is no outage."""
        self.outage, self._started, self._attempts = None, True, 0

    def start_tap(self, zero: int) -> None:
        """Tell the tap, which is set by now or never, what came before; `zero` as it wants it."""
        self._zero = zero
        untapped, self._untapped = self._untapped, None
        if self.tap is not None:
            self.tap.opened(self.connection.video, self.connection.audio, self._zero)
            for packet in untapped or ():
                self.tap.packet(packet)

    def _is_open(self) -> bool:
        """Wait for the connection; False on `stop`."""
        deadline = time.monotonic() + self._options.open_seconds
        while not self.connection.opened(TICK_SECONDS):
            if self._stop.is_set():
                return False
            if time.monotonic() > deadline:
                raise InputFault("no answer", CHECK)
        return True

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """The pictures of one connection; raises EOFError or its fault at the end, and returns on `stop`."""
        normaliser = FrameNormaliser(deinterlace=self._options.deinterlace, remark=self.remarks.say)
        container = self.connection.container
        self._timeline.reopened(may_leap=clock_may_leap(container))
        self._decode = PictureDecoder(
            container, self.connection.video, self.losses, from_start=self._feed.at_end != "reopen"
        )
        if self.connection.choice:
            self.remarks.say(self.connection.choice)
        self._barren = None
        if self.tap is not None and self._untapped is None:
            self.tap.opened(self.connection.video, self.connection.audio, self._zero)
        while not self._stop.is_set():
            try:
                arrival = self.connection.get(TICK_SECONDS)
            except EOFError:
                yield from normaliser.flush()
                raise
            self._look_around(is_idle=arrival is None)
            if arrival is not None and self._told(arrival):
                natives = self._decoded_now(arrival)
                self._barren = None if natives else self._barren or arrival.at
                for native in natives:
                    native.time_base = TIME_BASE
                    yield from normaliser(native)

    def _told(self, arrival: Arrival) -> bool:
        """Put a packet on the clock and tell the tap; False for what is not to be decoded."""
        packet = arrival.packet
        placed = self._timeline.place(packet, arrival.at) if packet.size else self._timeline.rest()
        for ready in placed:
            if self._untapped is not None:
                self._keep(ready, self._untapped)
            elif self.tap is not None:
                self.tap.packet(ready)
        return packet.stream.type == "video"

    def _keep(self, packet: "av.Packet[av.stream.Stream]", untapped: list[Any]) -> None:
        """For the tap, which waits for a key frame where the beginning is missing."""
        self._untapped_bytes += packet.size
        if self._untapped_bytes > LIMIT_BYTES or len(untapped) >= LIMIT_PACKETS:
            untapped.clear()
            self._untapped_bytes = packet.size
        untapped.append(packet)

    def _decoded_now(self, arrival: Arrival) -> list[av.VideoFrame]:
        """Decode a packet, even one that is marked as corrupt: a counter that jumps marks whole ones, too."""
        if not arrival.decode:
            self.losses.skipped_packets += 1
            return []
        before = self.losses.corrupt_packets
        natives = self._decode(arrival.packet)
        if not before and self.losses.corrupt_packets:
            log.warning("%s: damaged packets; skipping what cannot be decoded", self._feed.name)
        return natives

    def _look_around(self, *, is_idle: bool) -> None:
        """Notice that no picture comes; raises InputFault where opening the input again may help."""
        now, patience = time.monotonic(), self._options.stall_seconds
        if not self._started and now - self._began > self._options.open_seconds:
            raise InputFault("no picture comes", CHECK)
        if is_idle and self.connection.packets.idle_seconds > patience:
            if self._feed.at_end == "reopen":
                raise InputFault(f"no data for {patience:g} s", CHECK)
            self._note_outage(f"no data for {patience:g} s")
        elif self._started and self._barren is not None and now - self._barren > patience:
            self._note_outage("nothing that can be decoded")  # until the next key frame, perhaps

    def _goes_on_after(self, error: Exception) -> bool:
        """Whether to open the input again after `error`, which is raised again where it is no fault of it."""
        ended = isinstance(error, EOFError)
        if isinstance(error, InputError):
            raise error
        if ended and self._started and self._feed.at_end == "repeat":
            return True
        fault = explain(error, self._feed.address)
        if not self._started:
            raise InputError(
                f"{self._feed.name}: {fault.reason}; {fault.remedy}"
            ) from None  # has the address
        if self.connection.ends or self._feed.at_end == "repeat":
            if not ended:
                log.warning("%s: %s; it ends here", self._feed.name, fault.reason)
            return False
        self._note_outage(fault.reason)
        return True

    def _note_outage(self, reason: str) -> None:
        now = time.monotonic()
        if self.outage is None:
            self.losses.outages += 1
            if now - self._said_at > QUIET_SECONDS:
                log.warning("%s: %s; waiting for it to come back", self._feed.name, reason)
                self._said_at = now
        self.outage = Outage(reason, now if self.outage is None else self.outage.since)

    def _delay(self) -> float:
        """Seconds until the input is opened again."""
        attempts, self._attempts = self._attempts, self._attempts + 1
        if attempts == 0 and self._feed.at_end == "repeat":
            return 0.0
        delay: float = min(LONGEST_DELAY, FIRST_DELAY * 2**attempts)
        return delay * random.uniform(1 - JITTER, 1 + JITTER)
