"""The contracts of video: where frames come from, where they go, and what a live source tells beside them."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol, Self

import av

from rtpolyp.video.audio_track import AudioTrack
from rtpolyp.video.frame import Frame, Segmentation
from rtpolyp.video.remarks import Remarks
from rtpolyp.video.stream_format import StreamFormat

__all__ = ["Display", "LiveSource", "Losses", "Outage", "PacketTap", "Sink", "Source"]


@dataclass
class Losses:
    """What a source has lost so far."""

    outages: int = 0  # of a live source
    corrupt_packets: int = 0  # marked as damaged on the way, or refused by the decoder
    skipped_packets: int = 0  # not decoded, to catch up with a live stream
    lost_pictures: int = 0  # by their times they were there once; where rates vary, an estimate
    damaged_pictures: int = 0  # shown, with errors that the decoder conceals

    def damage(self) -> str:
        """What is missing or wrong in the picture, in a few words; empty where nothing is."""
        if not self.lost_pictures and not self.damaged_pictures:
            return ""
        return f"damaged: {self.lost_pictures} pictures lost, {self.damaged_pictures} shown with errors"


class Source(Protocol):
    """Frames in display order, once; a context manager.

    Iterating raises InputError where the stream breaks off, after every frame before that.
    """

    @property
    def name(self) -> str:
        """What a person calls it: the name of the file or folder."""

    @property
    def path(self) -> Path | None:
        """The file or folder; None for a source without one."""

    @property
    def is_sequence(self) -> bool:
        """True when frames follow each other in time; False for images: each stands alone, of any size."""

    @property
    def format(self) -> StreamFormat | None:
        """What all frames share; None for images."""

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) of the upright picture in pixels; None for images."""

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames per second, the average where it varies; None for images."""

    @property
    def frame_count(self) -> int | None:
        """How many frames to expect, for a progress bar: containers state it, or it is an estimate."""

    @property
    def duration_seconds(self) -> float | None:
        """What the container states; None for images."""

    @property
    def audio(self) -> AudioTrack | None:
        """The sound that belongs to the picture."""

    @property
    def start_seconds(self) -> float | None:
        """When the first frame is shown on the source's own clock; that of the frames starts at zero."""

    @property
    def remarks(self) -> Remarks:
        """What is not as one would expect; complete after the last frame."""

    @property
    def losses(self) -> Losses:
        """What was lost so far, counted."""

    def close(self) -> None:
        """Release the file; later calls do nothing."""

    def __iter__(self) -> Iterator[Frame]: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


@dataclass(frozen=True)
class Outage:
    """No frames come at present; the source is trying to get them back."""

    reason: str  # a few words for the screen and the log, without credentials
    since: float  # time.monotonic()


class PacketTap(Protocol):
    """Sees every packet of a live source before it is decoded, on the thread that iterates over the source.

    It neither blocks nor raises, or the picture would.
    """

    def opened(self, video: av.VideoStream, audio: av.AudioStream | None, zero: int) -> None:
        """Be told that the input was opened, at first or again, before its first packet.

        The streams describe the packets to come and are valid during this call only; `audio` is None where
        there is none or none is wanted. `zero` is the time of the packets, in TIME_BASE, at which that of the
        frames begins: where pictures are reordered, the first one is shown later than it is decoded.
        """

    def packet(self, packet: "av.Packet[av.stream.Stream]") -> None:
        """Take one packet, whose times go on through every loss; `packet.stream.type` tells its kind.

        The packet is still to be decoded: nothing of it may be changed.
        """


class LiveSource(Source, Protocol):
    """Frames on their own clock, whether anybody takes them or not.

    Iterating blocks until a frame comes and goes on through outages: the source opens its input again by
    itself. Frames keep the size and colours of the first one, and their pts grow strictly, over a gap by
    the wall clock.
    """

    tap: PacketTap | None  # set before iterating

    @property
    def codec(self) -> str:
        """The video's codec as FFmpeg spells it: h264, mjpeg, rawvideo …"""

    @property
    def hides_order(self) -> bool:
        """Whether pictures come in another order than they are shown, and no packet says when."""

    @property
    def outage(self) -> Outage | None:
        """Why no frames come at present; None while they do."""

    def interrupt(self) -> None:
        """Make the iteration end within a second, from any thread, even where it waits for a frame."""


class Sink(Protocol):
    """Takes frames in display order; a context manager."""

    def write(self, frame: Frame, segmentation: Segmentation | None) -> None:
        """Take one frame, with the overlay already drawn on it, and what was found in it.

        `segmentation` is None where the frame was not analysed; a sink of results then writes nothing.

        Raises OutputError when it cannot be written; what was written before stays readable.
        """

    def close(self) -> None:
        """Finish the output; later calls do nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class Display(Protocol):
    """What pictures are shown on; Window is one."""

    def show(self, frame: Frame) -> str | None:
        """Show a picture; return the key pressed since the last one, if any, as `Window.show` names it."""
