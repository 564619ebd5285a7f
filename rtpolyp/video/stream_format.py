"""StreamFormat: what a recording needs to know of the stream it is made from."""

from dataclasses import dataclass
from fractions import Fraction

import av

from rtpolyp.video.colour import Colour

__all__ = ["StreamFormat"]

HIGHEST_RATE = 240  # frames per second; what a container states beyond is its clock's


@dataclass(frozen=True)
class StreamFormat:
    """The traits that all frames of a stream share and a recording repeats, as upright frames show them."""

    size: tuple[int, int]  # (width, height), pixels
    pixel_format: str  # yuv420p or yuvj420p
    colour: Colour
    time_base: Fraction  # seconds: the unit of every frame's pts
    frame_rate: Fraction | None  # frames per second; the average where it varies
    sample_aspect_ratio: Fraction | None  # width / height of a pixel; None when the stream does not say

    @classmethod
    def of(cls, stream: av.VideoStream, first: av.VideoFrame, *, transposed: bool) -> "StreamFormat":
        """What a container says of a stream whose first frame was made upright, `transposed` or not."""
        aspect = stream.sample_aspect_ratio or None
        average, guessed = stream.average_rate, stream.guessed_rate
        # an elementary stream has no times, and libav's average is 25 whatever the codec's header says
        rate = (guessed or average if stream.start_time is None else average or guessed) or None
        return cls(
            size=(first.width, first.height),
            pixel_format=first.format.name,
            colour=Colour.of(first),
            time_base=stream.time_base or Fraction(1, av.time_base),
            frame_rate=rate if rate is None or rate <= HIGHEST_RATE else None,
            sample_aspect_ratio=1 / aspect if aspect and transposed else aspect,
        )
