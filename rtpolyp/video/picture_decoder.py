"""PictureDecoder: packets of one video stream in, pictures with their times out; what was lost is counted."""

import heapq
from collections import deque
from statistics import median_low

import av
from av.codec.context import Flags

from rtpolyp.video.contract import Losses

__all__ = ["PictureDecoder", "gives_no_showing_times"]

NO_TIMESTAMPS = 0x80  # AVFMT_NOTIMESTAMPS
SUSPECT_SECONDS = 2.0  # after damage, for so long a hole in the times counts as lost pictures
RHYTHM = 9  # intervals, of which the median is the usual one
MOST_TIMES = 1000  # waiting for their pictures: more than any codec holds back
MOST_LOSSES = 100_000  # packets without a picture, in a row, that are counted: a sender may give no other


def gives_no_showing_times(container: av.container.Container) -> bool:
    """Whether a container tells when a packet is decoded at most, but not when its picture is shown."""
    return container.format.name == "avi" or bool(container.format.flags & NO_TIMESTAMPS)


class PictureDecoder:
    """Decodes packets in order; counts lost and damaged pictures into `losses`.

    AVI and raw streams tell when a packet is decoded but not when its picture is shown: there each picture
    gets the earliest of the times that are still to be given. A hole in the times counts as lost pictures
    only near damage, since frame rates may vary; with `from_start`, packets before the first picture that
    can be decoded count, too.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        losses: Losses,
        *,
        from_start: bool,
    ) -> None:
        self._sorts = gives_no_showing_times(container)
        if self._sorts:
            stream.codec_context.copy_opaque = True
        stream.codec_context.flags |= Flags.unaligned  # or a crop on the left is done by steps of 32 bytes
        self._losses = losses
        self._times: list[int] = []  # heap, of packets whose pictures are to come
        # pts of packets before the first picture, and of those that cannot be decoded
        self._early: deque[int] | None = deque(maxlen=MOST_LOSSES) if from_start else None
        self._failed: deque[int] = deque(maxlen=MOST_LOSSES)
        self._rhythm: deque[int] = deque(maxlen=RHYTHM)
        self._last: int | None = None  # pts of the last picture
        self._suspect: float | None = None  # seconds, of the last damage

    def __call__(self, packet: "av.Packet[av.stream.Stream]") -> list[av.VideoFrame]:
        """Decode one packet, even one that is marked as corrupt; an empty one gives what is held back."""
        dts = packet.dts
        if packet.size and self._sorts and dts is not None:
            heapq.heappush(self._times, dts)
            if len(self._times) > MOST_TIMES:
                heapq.heappop(self._times)
            packet.opaque = dts
        if packet.size and self._early is not None and packet.pts is not None and not packet.is_discard:
            self._early.append(packet.pts)
        try:
            natives: list[av.VideoFrame] = packet.decode()  # type: ignore[assignment]  # of a packet of video
            failed = False
        except av.FFmpegError:
            natives, failed = [], True
            self._forget(packet)
        if failed or packet.is_corrupt:
            self._losses.corrupt_packets += 1
            self._suspect = self._seconds(packet)
        for native in natives:
            self._count(native, packet)
        return natives

    def finish(self) -> None:
        """Count what is missing at the end."""
        last = self._last
        self._losses.lost_pictures += sum(last is not None and pts > last for pts in self._failed)
        self._failed.clear()

    def _forget(self, packet: "av.Packet[av.stream.Stream]") -> None:
        if self._sorts and packet.dts in self._times:
            self._times.remove(packet.dts)
            heapq.heapify(self._times)
        pts = packet.dts if self._sorts else packet.pts
        if pts is not None:
            self._failed.append(pts)

    def _count(self, native: av.VideoFrame, packet: "av.Packet[av.stream.Stream]") -> None:
        if self._sorts:
            self._give_time(native)
        pts, last = native.pts, self._last
        if native.is_corrupt:
            self._losses.damaged_pictures += 1
            self._suspect = self._seconds(packet)
        if pts is None:
            return
        if self._early is not None:
            self._losses.lost_pictures += sum(early < pts for early in self._early)
            self._early = None
        self._last = pts
        if last is None or pts <= last:
            return
        usual = median_low(self._rhythm) if self._rhythm else pts - last
        if self._suspect is not None and float(last * packet.time_base) < self._suspect + SUSPECT_SECONDS:
            self._losses.lost_pictures += max(0, round((pts - last) / usual) - 1)
            self._failed = deque((failed for failed in self._failed if failed > pts), MOST_LOSSES)
        if round((pts - last) / usual) <= 1:
            self._rhythm.append(pts - last)

    def _give_time(self, native: av.VideoFrame) -> None:
        own = native.opaque
        if isinstance(own, int) and native.key_frame:  # whatever was decoded before it was shown before it
            while self._times and self._times[0] < own:
                heapq.heappop(self._times)
        native.pts = heapq.heappop(self._times) if self._times else None

    def _seconds(self, packet: "av.Packet[av.stream.Stream]") -> float | None:
        ticks = packet.pts if packet.dts is None else packet.dts
        return self._suspect if ticks is None else float(ticks * packet.time_base)
